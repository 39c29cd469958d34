package stint

import (
	"slices"
	"sync"
	"time"
)

// errAgain makes settle look again: somebody else changed what begin relied on.
const errAgain Error = "stint: again"

// begin does an operation on a key that has no state in this table: a new one, one that the sketch remembers, or one that was
// counted under other values of its limit.
func (t *table) begin(h uint64, l *Limit, key string, op Op, now int64) (Answer, Mark, error) {
	if t.family.several() {
		return t.beginShared(h, l, key, op, now)
	}
	st, approximate := t.remembered(h, now)
	first := st
	if t.cells && op.Max > 0 && st.Log == nil {
		first.Log = t.freshCells()
	}
	n, a := l.Strategy.Apply(first, l, now, op)
	mark := NewMark(now)
	if approximate {
		mark = mark.Approximate()
	}
	if n.A == st.A && n.B == st.B && n.C == st.C {
		if first.Log != st.Log && l.builtin {
			spareCells.Put(first.Log)
		}
		return a, mark, nil
	}
	if err := t.create(h, key, st, n, approximate, now); err != nil {
		return Answer{}, 0, err
	}
	return a, mark, nil
}

// freshCells are cells for a new key, some that a refusal did not need if there are any.
func (t *table) freshCells() *Cells {
	if t.limit.builtin {
		if spare, ok := spareCells.Get().(*Cells); ok {
			return spare
		}
	}
	return t.limit.newCells()
}

var spareCells sync.Pool

// create makes the key with the state n, if it still begins from the state st.
func (t *table) create(h uint64, key string, st, n State, approximate bool, now int64) error {
	d := t.dir.Load()
	s := d.segment(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errAgain
	}
	if p := t.find(s, h, key); p != nil {
		return errAgain
	}
	if t.crowded(s) {
		if err := t.rebuild(s, h, now); err != nil {
			return err
		}
		return errAgain
	}
	if t.family.several() {
		return errAgain // since begin looked: the key may be counted elsewhere
	}
	if t.sketch.Load() != nil {
		if again, _ := t.remembered(h, now); again.A != st.A || again.B != st.B || again.C != st.C {
			return errAgain
		}
	}
	if approximate {
		h &^= 1
	}
	t.insert(s, h, key, n)
	t.store.bytes.Add(n.Log.bytes())
	t.used.Add(1)
	t.store.used.Add(1)
	return nil
}

// crowded says that a segment has no room for one more key: its slots are used up, or the store is at its bound and the
// segment has more than a newcomer's few.
func (t *table) crowded(s *segment) bool {
	bounded := int(s.used) >= fewKeys && t.store.used.Load() >= t.store.options.MaxKeys
	return int(s.used) >= t.full(s.lines) || bounded && !t.unbounded
}

// fewKeys is what a segment may hold whatever the store's bound, so that no limit is starved by another.
const fewKeys = 48

// entries is working memory for rebuilds.
var entries = sync.Pool{New: func() any { return new([]entry) }}

// rebuild replaces a segment that is full, whose mutex is held: by a larger one, by one without what may be forgotten, by two,
// or, at the store's bound, by one from which the keys nearest to full were evicted.
func (t *table) rebuild(s *segment, h uint64, now int64) error {
	full := min(t.full(s.lines), int(s.used))
	t.store.reclaim(now)
	mayGrow := t.unbounded || t.store.mayGrow(int64(lineSize+mostLines*lineSize))
	if !mayGrow && !t.mayEvict() && t.live(s, now) >= full {
		t.store.refused.Add(1)
		return ErrFull
	}
	buffer := entries.Get().(*[]entry)
	defer func() {
		clear(*buffer)
		*buffer = (*buffer)[:0]
		entries.Put(buffer)
	}()
	until := now
	if mayGrow {
		until -= lingering
	}
	live := t.freeze(s, until, *buffer)
	*buffer = live
	lines := s.lines
	switch {
	case len(live) <= full*5/8:
	case mayGrow && lines < mostLines:
		lines = nextLines(lines)
	case mayGrow && s.depth < 40:
		t.split(s, h, live)
		return nil
	case len(live) > full*3/4:
		live = t.evict(live, full*3/4, now)
	}
	t.compact(s, h, live, lines)
	return nil
}

// split replaces a segment by two.
func (t *table) split(s *segment, h uint64, live []entry) {
	bit := uint64(1) << (63 - s.depth)
	ones := 0
	for _, e := range live {
		if e.hash&bit != 0 {
			ones++
		}
	}
	low, high := t.half(len(live)-ones, s.depth+1), t.half(ones, s.depth+1)
	for _, e := range live {
		to := low
		if e.hash&bit != 0 {
			to = high
		}
		t.insert(to, e.hash, e.key, t.trimmed(e.state))
	}
	t.swing(s, low, high, h)
	t.forgot(s, len(live))
}

// half is the segment for n of the keys of one that is split: a smaller one, unless nearly all of them are in this half.
func (t *table) half(n int, depth uint8) *segment {
	if n > t.full(splitLines)*7/8 {
		return t.segmentFor(mostLines, depth)
	}
	return t.segmentFor(splitLines, depth)
}

// compact replaces a segment by one of so many lines with what is live alone.
func (t *table) compact(s *segment, h uint64, live []entry, lines uint64) {
	one := t.segmentFor(lines, s.depth)
	for _, e := range live {
		t.insert(one, e.hash, e.key, t.trimmed(e.state))
	}
	t.swing(s, one, one, h)
	t.forgot(s, len(live))
}

// newDirectory is the directory of a table with one segment. It has two entries, so that its shift stays below 64.
func newDirectory(s *segment) *directory {
	d := makeDirectory(63)
	d.put(0, s)
	d.put(1, s)
	return d
}

// forgot closes a segment that was replaced, of whose slots so many live on.
func (t *table) forgot(s *segment, live int) {
	dropped := int64(s.used) - int64(live)
	t.used.Add(-dropped)
	t.store.used.Add(-dropped)
	t.discard(s)
}

// trimmed gives back the cells that a log no longer needs.
func (t *table) trimmed(st State) State {
	if st.Log == nil || !t.limit.builtin {
		return st
	}
	have, want := int(st.Log.size), fewCells
	for live := liveCells(st) + 1; want < min(live, have); want = moreCells(want, have) {
	}
	if 2*want >= have {
		return st
	}
	small := growCells(st, want)
	t.store.bytes.Add(small.Log.bytes() - st.Log.bytes())
	return small
}

// live counts the keys of a segment that may not be forgotten.
func (t *table) live(s *segment, now int64) int {
	n := 0
	for i := uintptr(0); i < s.end(); i += t.stride {
		p := s.at(i)
		if p.hash.Load() == 0 {
			continue
		}
		if word := p.word.Load(); word != moved && int64(word>>1) > now<<fractionBits {
			n++
		}
	}
	return n
}

// mayGrow says whether the store may have one more segment.
func (m *Memory) mayGrow(bytes int64) bool {
	return m.used.Load() < m.options.MaxKeys && m.hasBytes(bytes)
}

// mayEvict says whether live keys may make room. Slots that are held never may.
func (t *table) mayEvict() bool {
	_, slots := t.limit.Strategy.(Concurrency)
	return t.store.options.AtBound != Refuse && !slots
}

// evict takes the keys nearest to full out of live until n are left.
func (t *table) evict(live []entry, n int, now int64) []entry {
	if !t.mayEvict() {
		return live
	}
	slices.SortFunc(live, func(a, b entry) int {
		switch {
		case a.state.A > b.state.A:
			return -1
		case a.state.A < b.state.A:
			return 1
		}
		return 0
	})
	if t.store.options.AtBound == Sketch {
		sk := t.sketch.Load()
		if sk == nil {
			sk = t.newSketch()
		}
		for _, e := range live[n:] {
			sk.add(t.limit, e.hash, e.state, now)
		}
	}
	for _, e := range live[n:] {
		t.store.bytes.Add(-e.state.Log.bytes())
	}
	t.store.evicted.Add(int64(len(live) - n))
	clear(live[n:])
	return live[:n]
}

// Compact gives back all memory that can be, at once. It is never needed while calls come: each of them pays for a little of
// it.
func (m *Memory) Compact() {
	m.sweep.Lock()
	defer m.sweep.Unlock()
	now := m.earliest(m.now())
	for again := true; again; {
		again = false
		for _, t := range m.allTables() {
			d := t.dir.Load()
			for i := 0; i < len(d.entries) && t.dir.Load() == d; i++ {
				if t.shrink(d, i, now) {
					again = true
				}
			}
		}
	}
}

const (
	housekeepEvery = 1_000     // ticks
	skewEvery      = 1_000_000 // ticks
	// Keys of a short limit may be forgotten a moment after each call and are asked for again in the next: while there is room
	// they are kept for so many ticks longer.
	lingering = 250_000
)

// housekeep does a small step of the work that has no caller of its own: it looks at one segment in turn and gives memory back,
// and reads the wall clock once a second. Whoever calls first when it is due does it.
func (m *Memory) housekeep(now int64) error {
	if now < 0 || now > MaxInstant {
		return ErrClock
	}
	if !m.sweep.TryLock() {
		return nil
	}
	defer m.sweep.Unlock()
	due := m.due.Load()
	if now < due {
		return nil
	}
	m.due.Store(now + housekeepEvery)
	if now/skewEvery != due/skewEvery {
		m.readWall()
		m.notes.forget(m, m.earliest(now))
	}
	t := m.next()
	if t == nil {
		return nil
	}
	d, past := t.dir.Load(), m.earliest(now)
	if s := d.entries[0].segment.Load(); m.mayRetire(t) && s.depth == 0 && t.live(s, past) == 0 {
		m.mu.Lock()
		m.retire(t.family, now)
		m.mu.Unlock()
		return nil
	}
	t.shrink(d, t.hand%len(d.entries), past-lingering)
	return nil
}

// reclaim looks at a few segments in turn for keys that may be forgotten, while the store is at its bound.
func (m *Memory) reclaim(now int64) {
	if m.used.Load() < m.options.MaxKeys || !m.sweep.TryLock() {
		return
	}
	defer m.sweep.Unlock()
	now = m.earliest(min(now, m.now()))
	for tries := 0; tries < 16 && m.used.Load() >= m.options.MaxKeys; tries++ {
		if t := m.next(); t != nil {
			t.purge(t.dir.Load(), now)
		}
	}
}

// purge compacts the segment whose turn it is, if a part of its keys may be forgotten and nobody works on it.
func (t *table) purge(d *directory, now int64) {
	s := d.entries[t.hand%len(d.entries)].segment.Load()
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if s.dead || t.dir.Load() != d || t.live(s, now) > int(s.used)*3/4 {
		return
	}
	t.compact(s, uint64(t.hand%len(d.entries))<<d.shift, t.freeze(s, now, nil), s.lines)
}

// next is the table whose turn it is, its hand moved on by a segment. m.sweep is held.
func (m *Memory) next() *table {
	tables := m.allTables()
	if len(tables) == 0 {
		return nil
	}
	m.turn = (m.turn + 1) % len(tables)
	t := tables[m.turn]
	t.hand = (t.hand + 1) % len(t.dir.Load().entries)
	return t
}

// readWall notes how far the wall clock is from the store's.
func (m *Memory) readWall() {
	if m.options.Clock == nil {
		m.skew.Store(time.Now().UnixMicro() - m.now())
	}
}

// shrink merges a segment with its buddy, or makes an only segment smaller, if most of it may be forgotten. It tries only: a
// segment that somebody works on is left for the next time.
func (t *table) shrink(d *directory, i int, now int64) bool {
	s := d.entries[i].segment.Load()
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	if s.dead || t.dir.Load() != d {
		return false
	}
	live := t.live(s, now)
	if live > t.full(s.lines)/4 {
		return false
	}
	h := uint64(i) << d.shift
	if s.depth == 0 {
		lines := uint64(leastLines)
		for live > t.full(lines)/2 {
			lines = nextLines(lines)
		}
		if lines >= s.lines {
			return false
		}
		t.compact(s, h, t.freeze(s, now, nil), lines)
		t.mu.Lock()
		if one := t.dir.Load().segment(h); one.depth == 0 { // it may have grown and been split already
			t.dir.Store(newDirectory(one))
		}
		t.mu.Unlock()
		return true
	}
	buddy := d.segment(h ^ 1<<(64-s.depth))
	if buddy == s || !buddy.mu.TryLock() {
		return false
	}
	defer buddy.mu.Unlock()
	if buddy.dead || buddy.depth != s.depth || live+t.live(buddy, now) > t.full(splitLines)/2 {
		return false
	}
	one := t.segmentFor(splitLines, s.depth-1)
	keep := t.freeze(s, now, nil)
	first := len(keep)
	keep = t.freeze(buddy, now, keep)
	for _, e := range keep {
		t.insert(one, e.hash, e.key, t.trimmed(e.state))
	}
	t.swing(s, one, one, h)
	t.forgot(s, first)
	t.forgot(buddy, len(keep)-first)
	return true
}
