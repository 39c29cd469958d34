package stint

import (
	"math"
	"math/big"
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

func TestSlidingLogDefault(t *testing.T) {
	l, err := PerHour(100).Compile()
	if err != nil || l.Strategy != Strategy(SlidingLog{}) {
		t.Fatal(l, err)
	}
}
