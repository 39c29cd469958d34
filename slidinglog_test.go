package stint

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// logReference keeps every unit's instant.
type logReference struct {
	capacity, per int64
	takes         []logTake // oldest first
}

type logTake struct {
	at int64
	n  *big.Int
}

func newLogReference(l *Limit) reference { return &logReference{capacity: l.Units, per: l.ticks} }

func (r *logReference) used(now int64) *big.Int {
	used := new(big.Int)
	for _, t := range r.takes {
		if t.at > now-r.per {
			used.Add(used, t.n)
		}
	}
	return used
}

func (r *logReference) room(now int64) *big.Int { return roomOf(r.capacity, r.used(now)) }

func (r *logReference) take(now int64, n *big.Int) { r.takes = append(r.takes, logTake{now, n}) }

func (r *logReference) remove(from, n int64, ofRun func(at int64) bool) int64 {
	left := big.NewInt(n)
	for i := len(r.takes) - 1; i >= 0; i-- {
		if t := r.takes[i]; ofRun(t.at) && t.at > from-r.per {
			back := t.n
			if back.Cmp(left) > 0 {
				back = left
			}
			left = new(big.Int).Sub(left, back)
			r.takes[i].n = new(big.Int).Sub(t.n, back)
		}
	}
	return n - left.Int64()
}

func (r *logReference) refund(now, n, at int64) int64 {
	return r.remove(now, n, func(taken int64) bool { return taken == at })
}

func (r *logReference) credit(now, n int64) int64 {
	return r.remove(now, n, func(int64) bool { return true })
}

func (r *logReference) clear() { r.takes = nil }

func (r *logReference) reset(now int64) int64 {
	last := int64(0)
	for _, t := range r.takes {
		if t.n.Sign() > 0 && t.at > now-r.per {
			last = t.at + r.per - now
		}
	}
	return last
}

func logLimits(s Strategy) []Limit {
	return []Limit{
		PerSecond(1).WithStrategy(s),
		PerSecond(3).WithStrategy(s),
		PerMinute(10).WithStrategy(s),
		PerHour(100).WithStrategy(s),
		PerHour(1024).WithStrategy(s),
		{Units: 5, Per: Tick, Strategy: s},
		{Units: 7, Per: 10 * Tick, Strategy: s},
		{Units: math.MaxInt64, Per: 900 * Tick, Strategy: s},
		{Units: 20, Per: years(8), Strategy: s},
	}
}

func TestSlidingLog(t *testing.T) { runTraces(t, logLimits(SlidingLog{}), newLogReference) }

func TestConcurrency(t *testing.T) { runTraces(t, logLimits(Concurrency{}), newLogReference) }

// Above 1024 units takes that are close to each other count as one, at the later instant: never over, and under only for a
// thousandth of the period.
func TestSlidingLogGrain(t *testing.T) {
	for _, limit := range []Limit{PerSecond(1025), PerMinute(5000), PerHour(1_000_000)} {
		l := mustCompile(t, limit)
		if l.grain*1000 > l.ticks {
			t.Errorf("grain of %d ticks in %d", l.grain, l.ticks)
		}
		random := rand.New(rand.NewPCG(1, 1))
		exact := &logReference{capacity: l.Units, per: l.ticks}
		longer := &logReference{capacity: l.Units, per: l.ticks + l.grain}
		s, now := State{Log: cellsFor(l)}, traceStart
		for range 5000 {
			now += random.Int64N(l.ticks / 800)
			n := 1 + random.Int64N(l.Units/300)
			if liveCells(s) == len(s.Log.Pairs()) {
				s = growCells(s, min(2*liveCells(s), l.words))
			}
			next, a := l.Strategy.Apply(s, l, now, TakeOp(n))
			if a.Granted == 0 {
				if longer.room(now).Cmp(big.NewInt(n)) >= 0 {
					t.Fatalf("%d units refused for too long", n)
				}
				if _, a := l.Strategy.Apply(s, l, now+a.Wait, TakeOp(n)); a.Granted != n {
					t.Fatalf("%d units refused after the wait", n)
				}
				continue
			}
			if exact.room(now).Cmp(big.NewInt(n)) < 0 {
				t.Fatalf("%d units too many", n)
			}
			s = next
			exact.take(now, big.NewInt(n))
			longer.take(now, big.NewInt(n))
			if liveCells(s) > maxRuns || len(s.Log.Pairs()) > l.words {
				t.Fatalf("%d runs in %d cells", liveCells(s), len(s.Log.Pairs()))
			}
		}
	}
}

// A store lends a few cells and grows or trims the ring between calls: nobody sees it.
func TestSlidingLogCellsAreInvisible(t *testing.T) {
	l := mustCompile(t, PerSecond(50))
	random := newRandomOps(l, 5)
	lent, full := State{}, State{Log: NewCells(l.words)}
	for i := range 5000 {
		now, op := random.next()
		if i%7 == 0 || lent.Log == nil || liveCells(lent) == len(lent.Log.Pairs()) {
			lent = growCells(lent, min(liveCells(lent)+1+i%3, l.words))
		}
		var a, b Answer
		lent, a = l.Strategy.Apply(lent, l, now, op)
		full, b = l.Strategy.Apply(full, l, now, op)
		if a != b {
			t.Fatalf("at %d, %+v: %+v with few cells, %+v with all", now, op, a, b)
		}
		if full.Log == nil {
			full.Log = NewCells(l.words)
		}
		if len(full.Log.Pairs()) != l.words {
			t.Fatalf("%d cells", len(full.Log.Pairs()))
		}
	}
}

// A store that lends no more cells makes takes join: they count too long, never too short.
func TestSlidingLogWithoutFreeCells(t *testing.T) {
	l := mustCompile(t, PerSecond(10))
	s, now := State{Log: NewCells(2)}, traceStart
	for range 10 {
		var a Answer
		if s, a = l.Strategy.Apply(s, l, now, TakeOp(1)); a.Granted != 1 {
			t.Fatalf("%+v", a)
		}
		now += 1000
	}
	if len(s.Log.Pairs()) != 2 {
		t.Errorf("%d cells", len(s.Log.Pairs()))
	}
	for _, c := range []struct{ at, remaining int64 }{
		{traceStart + l.ticks - 1, 0}, {traceStart + l.ticks, 1}, {now - 1000 + l.ticks - 1, 1}, {now - 1000 + l.ticks, 10},
	} {
		if _, a := l.Strategy.Apply(s, l, c.at, LookOp(1)); a.Remaining != c.remaining {
			t.Errorf("%d left after %d, want %d", a.Remaining, c.at-traceStart, c.remaining)
		}
	}
}

// Debts beyond the cells that there are join the newest run: they count too long, never too short.
func TestSlidingLogDebtBeyondCells(t *testing.T) {
	l := mustCompile(t, PerSecond(1))
	s, now := State{}, traceStart
	for range 30 {
		s, _ = l.Strategy.Apply(s, l, now, ChargeOp(1))
		now += 1000
	}
	if len(s.Log.Pairs()) > l.words || s.A != (now-1000+l.ticks)<<fractionBits {
		t.Errorf("%d cells, %+v", len(s.Log.Pairs()), s)
	}
	_, a := l.Strategy.Apply(s, l, now, LookOp(1))
	if a.Wait > l.ticks || a.Wait < l.ticks-2000 {
		t.Errorf("wait %d", a.Wait)
	}
}

func TestSlidingLogDefault(t *testing.T) {
	l, err := PerHour(100).Compile()
	if err != nil || l.Strategy != Strategy(SlidingLog{}) {
		t.Fatal(l, err)
	}
}

// The short way of a take says and leaves the same as the long one, to the tick at which a run leaves.
func TestSlidingLogShortWay(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for _, limit := range []Limit{{Units: 12, Per: 20 * Tick}, {Units: 3000, Per: 4000 * Tick}} {
		l := mustCompile(t, limit.WithStrategy(SlidingLog{}))
		short, long, now := State{Log: NewCells(l.words)}, State{Log: NewCells(l.words)}, traceStart
		for step := range 20_000 {
			now += random.Int64N(4)
			n := 1 + random.Int64N(l.Units/5)
			var a, b Answer
			short, a = l.Strategy.Apply(short, l, now, TakeOp(n))
			long, b = l.Strategy.Apply(long, l, now, Op{n, n, 1}) // a wait, which no log can use
			if a != b || short.A != long.A || short.B != long.B || liveCells(short) > liveCells(long) {
				t.Fatalf("step %d, %d units: %+v and %+v in short, %+v and %+v in long", step, n, short, a, long, b)
			}
		}
	}
}
