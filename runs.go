package stint

import "math"

// runs are the units of a key that count at an instant, as runs of units that were taken at the same instant. The sliding log
// and concurrency are made of them.
//
// A state keeps its runs in a ring of cells: A is the instant at which the newest run stops counting, B the units counted since
// the log began (modulo 2^64, since only differences matter), C which cells are runs. A cell holds a run's instant and B as it
// was before the run. The newest run's instant is not read from its cell but from A. So a take that joins the newest run changes
// only A and B, one that begins a run writes a free cell and a field that nobody reads yet, and dropping runs changes only C: no
// cell that a state counts is ever written, and a state that is dropped again was never wrong.
type runs struct {
	cells  []Pair
	head   int   // cell of the oldest run that counts
	count  int   // runs that count
	used   int   // cells in use: by the runs that count, and by those that have left since the state was written
	newest int64 // instant of the newest run
	before int64 // B before the oldest run
	sum    int64 // units that count
}

const (
	maxRuns   = 1024            // runs of grants that a key keeps
	spareRuns = 8               // runs of debts besides
	cellBits  = 16              // State.C is the head<<cellBits and the number of runs
	cellMask  = 1<<cellBits - 1 // of the number of runs
)

// compileRuns is the Compile of the strategies that are made of runs.
func (l *Limit) compileRuns() error {
	if err := l.compileSpan(); err != nil {
		return err
	}
	// So many grains touch any period that there are never more than maxRuns of them.
	l.grain = 1
	if l.Units > maxRuns {
		l.grain = (l.ticks + maxRuns - 2) / (maxRuns - 1)
	}
	l.byGrain = newDivisor(l.grain)
	return nil
}

// runWords is a cell for each run that can count at once, and a few for debts, of which one stays free.
func (l *Limit) runWords() int {
	return max(4, int(min(min(l.Units, maxRuns)+spareRuns, l.ticks+1)))
}

// liveCells is how many cells of its ring the state of a strategy made of runs counts.
func liveCells(s State) int { return int(s.C & cellMask) }

// growCells is the same state on a new ring of n cells, at least as many as it counts.
func growCells(s State, n int) State {
	count := liveCells(s)
	grown := NewCells(max(n, count))
	if old := s.Log.Pairs(); len(old) > 0 {
		r, pairs := runs{cells: old, head: int(s.C >> cellBits)}, grown.Pairs()
		for i := range min(count, len(old)) {
			pairs[i] = old[r.cell(i)]
		}
	}
	s.C, s.Log = int64(count), grown
	return s
}

// applyRuns is Apply for strategies that are made of runs: each unit counts for a period from the instant at which it was
// taken, and no more than the limit's units count at once.
func (l *Limit) applyRuns(s State, now int64, op Op) (State, Answer) {
	now = min(now, MaxInstant)
	if op.Max > 0 && op.Wait == 0 {
		if next, a, done := l.takeRun(s, now, op.Max); done {
			return next, a
		}
	}
	var r runs
	l.readRuns(&r, s, now)
	room := l.capacity - r.sum
	switch {
	case op.Max > 0 && op.Wait == Forever:
		if l.capacity == 0 {
			return s, Answer{Wait: Forever}
		}
		if n := min(op.Max, math.MaxInt64-r.sum); n > 0 {
			s = l.addRun(&r, s, now, n)
		}
		return s, l.runsAnswer(&r, now, op.Max)
	case op.Max > 0:
		grant := min(op.Max, room)
		if grant < op.Min || grant <= 0 {
			a := l.runsAnswer(&r, now, 0)
			a.Wait = l.runsWait(&r, now, op.Min)
			return s, a
		}
		s = l.addRun(&r, s, now, grant)
		return s, Answer{Granted: grant, Remaining: room - grant, Reset: r.newest + l.ticks - now}
	case op.Max == 0:
		a := l.runsAnswer(&r, now, 0)
		a.Wait = l.runsWait(&r, now, op.Min)
		return s, a
	}
	switch op.Kind() {
	case Clear:
		return State{}, Answer{Granted: r.sum, Remaining: l.capacity}
	case Credit:
		return l.creditRuns(&r, s, now, -op.Max)
	case Refund:
		return l.refundRuns(&r, s, now, -op.Max, op.Wait)
	}
	return s, l.runsAnswer(&r, now, 0)
}

// takeRun takes n units where there is room for all of them, a free cell, and few runs have left since the state was written: what
// nearly every call does, in a short way. It says the same as the rest of applyRuns.
func (l *Limit) takeRun(s State, now, n int64) (State, Answer, bool) {
	cells := s.Log.Pairs()
	head, count := int(s.C>>cellBits), int(s.C&cellMask)
	newest, gone := s.A>>fractionBits-l.ticks, now-l.ticks
	if uint(head) >= uint(len(cells)) || uint(count) >= uint(len(cells)) || newest > now {
		return s, Answer{}, false
	}
	if newest <= gone || count == 0 { // nothing counts
		if n > l.capacity {
			return s, Answer{}, false
		}
		if head += count; head >= len(cells) {
			head -= len(cells)
		}
		cells[head].Units = s.B
		s.A, s.B, s.C = (now+l.ticks)<<fractionBits, s.B+n, int64(head<<cellBits|1)
		return s, Answer{Granted: n, Remaining: l.capacity - n, Reset: l.ticks}, true
	}
	last := head + count - 1
	if last >= len(cells) {
		last -= len(cells)
	}
	for left := 0; head != last && cells[head].At <= gone; left++ {
		if head++; head == len(cells) {
			head = 0
		}
		if count--; left == fewCells {
			return s, Answer{}, false
		}
	}
	room := l.capacity - (s.B - cells[head].Units)
	if n > room {
		return s, Answer{}, false
	}
	if newest < now && (l.grain == 1 || l.byGrain.of(now) != l.byGrain.of(newest)) {
		if count >= l.words-1 {
			return s, Answer{}, false
		}
		cells[last].At = newest
		if last++; last == len(cells) {
			last = 0
		}
		cells[last].Units = s.B
		count++
	}
	s.A, s.B, s.C = (now+l.ticks)<<fractionBits, s.B+n, int64(head<<cellBits|count)
	return s, Answer{Granted: n, Remaining: room - n, Reset: l.ticks}, true
}

// readRuns finds the runs that count at now.
func (l *Limit) readRuns(r *runs, s State, now int64) {
	r.before = s.B
	if s.Log == nil {
		return
	}
	r.cells = s.Log.Pairs()
	head, count := int(s.C>>cellBits), int(s.C&cellMask)
	if uint(head) >= uint(len(r.cells)) || count > len(r.cells) {
		return // nothing that this strategy wrote: no runs
	}
	r.head, r.count, r.used = head, count, count
	if s.A <= now<<fractionBits || count == 0 {
		// None counts. The next one takes the cell behind them, as if they did.
		r.head, r.count = r.cell(count), 0
		return
	}
	r.newest = s.A>>fractionBits - l.ticks
	if gone := now - l.ticks; count > 1 && r.cells[head].At <= gone {
		r.drop(gone)
	}
	r.before = r.cells[r.head].Units
	r.sum = s.B - r.before
}

// drop drops the runs up to the instant gone; the newest is not among them.
func (r *runs) drop(gone int64) {
	low, high := 1, r.count-1 // the oldest that counts is among them
	if r.cells[r.cell(1)].At > gone {
		high = 1
	}
	for low < high {
		if middle := (low + high) / 2; r.cells[r.cell(middle)].At > gone {
			high = middle
		} else {
			low = middle + 1
		}
	}
	r.head, r.count = r.cell(low), r.count-low
}

// cell is the index of the cell of run i.
func (r *runs) cell(i int) int {
	i += r.head
	if i >= len(r.cells) {
		i -= len(r.cells)
	}
	return i
}

// at is the instant of run i.
func (r *runs) at(i int) int64 {
	if i == r.count-1 {
		return r.newest
	}
	return r.cells[r.cell(i)].At
}

// until is the units of the runs before run i.
func (r *runs) until(i int) int64 {
	if i == r.count {
		return r.sum
	}
	return r.cells[r.cell(i)].Units - r.before
}

// state is s with the runs r.
func (r *runs) state(s State, ticks int64) State {
	s.A = (r.newest + ticks) << fractionBits
	if r.count == 0 {
		s.A = 0
	}
	s.B = r.before + r.sum
	s.C = int64(r.head<<cellBits | r.count)
	return s
}

// addRun takes n units at now.
func (l *Limit) addRun(r *runs, s State, now, n int64) State {
	switch {
	case r.count > 0 && (now <= r.newest || l.grain > 1 && l.byGrain.of(now) == l.byGrain.of(r.newest)):
		// The units join the newest run, at the later instant.
		r.newest = max(r.newest, now)
	case r.count > 0 && (r.used == len(r.cells) || r.count >= l.words-1):
		// There is no cell for another run: the store lent no more, or charges into debt need more than there are for grants. The
		// units join the newest run, too, which refuses for longer.
		r.newest = now
	default:
		if len(r.cells) == 0 {
			s = growCells(State{B: s.B}, l.words) // there is no store
			r.cells, r.head = s.Log.Pairs(), 0
		}
		if r.count > 0 {
			r.cells[r.cell(r.count-1)].At = r.newest
		}
		r.cells[r.cell(r.count)].Units = r.before + r.sum
		r.count++
		r.used++
		r.newest = now
	}
	r.sum += n
	return r.state(s, l.ticks)
}

func (l *Limit) runsAnswer(r *runs, now, granted int64) Answer {
	a := Answer{Granted: granted, Remaining: max(0, l.capacity-r.sum)}
	if r.count > 0 {
		a.Reset = r.newest + l.ticks - now
	}
	return a
}

// runsWait is how long n units wait: until the runs that leave too little room have left.
func (l *Limit) runsWait(r *runs, now, n int64) int64 {
	if n > l.capacity {
		return Forever
	}
	excess := r.sum - (l.capacity - n)
	if excess <= 0 {
		return 0
	}
	low, high := 0, r.count-1 // the run whose leaving makes room is among them
	for low < high {
		if middle := (low + high) / 2; r.until(middle+1) >= excess {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return r.at(low) + l.ticks - now
}

// creditRuns takes away the n units that would count longest.
func (l *Limit) creditRuns(r *runs, s State, now, n int64) (State, Answer) {
	n = min(n, r.sum)
	if n <= 0 {
		return s, l.runsAnswer(r, now, 0)
	}
	r.sum -= n
	count := r.count
	for count > 0 && r.cells[r.cell(count-1)].Units-r.before >= r.sum {
		count--
	}
	r.cut(count)
	return r.state(s, l.ticks), l.runsAnswer(r, now, n)
}

// cut keeps the oldest runs only.
func (r *runs) cut(count int) {
	if count > 0 {
		r.newest = r.at(count - 1)
	}
	r.count = count
}

// refundRuns gives back n units of the run that was taken at the instant at, while it counts.
func (l *Limit) refundRuns(r *runs, s State, now, n, at int64) (State, Answer) {
	low, high := 0, r.count
	for low < high {
		if middle := (low + high) / 2; r.at(middle) >= at {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if low == r.count || at < 0 || l.byGrain.of(r.at(low)) != l.byGrain.of(at) {
		return s, l.runsAnswer(r, now, 0)
	}
	units := r.until(low+1) - r.until(low)
	n = min(n, units)
	r.sum -= n
	switch {
	case n == units && low == 0:
		r.head, r.count, r.before = r.cell(1), r.count-1, r.before+n
	case n == units && low == r.count-1:
		r.cut(low)
	case low < r.count-1:
		s = l.rewriteRuns(r, s, low, n, n == units)
	}
	if s = r.state(s, l.ticks); r.count == 0 {
		s.A = now << fractionBits // as good as new from now on, which a store may like to know
	}
	return s, l.runsAnswer(r, now, n)
}

// rewriteRuns writes the runs to a new ring, where run i has n units less or is left out. Cells that the old state counts
// stay as they are.
func (l *Limit) rewriteRuns(r *runs, s State, i int, n int64, leaveOut bool) State {
	s.Log = NewCells(len(r.cells))
	kept := s.Log.Pairs()[:0]
	for k := range r.count {
		if k == i && leaveOut {
			continue
		}
		pair := r.cells[r.cell(k)]
		if k > i {
			pair.Units -= n
		}
		kept = append(kept, pair)
	}
	r.cells, r.head, r.count = s.Log.Pairs(), 0, len(kept)
	return s
}
