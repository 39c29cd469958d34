package stint

import (
	"math/big"
	"testing"
	"time"
)

// counterReference is the estimate as it is written in books, and what it says of the future by trying.
type counterReference struct {
	capacity, per        int64
	start, last, current int64
}

func (r *counterReference) at(now int64) {
	for start := now / r.per * r.per; r.start < start; {
		if r.start += r.per; start-r.start > 2*r.per {
			r.start = start
			r.current = 0
		}
		r.last, r.current = r.current, 0
	}
}

func (r *counterReference) estimate(now int64) *big.Int {
	faded := new(big.Int).Mul(big.NewInt(r.last), big.NewInt(r.start+r.per-now))
	faded.Div(faded, big.NewInt(r.per))
	return faded.Add(faded, big.NewInt(r.current))
}

func (r *counterReference) room(now int64) *big.Int {
	r.at(now)
	return roomOf(r.capacity, r.estimate(now))
}

func (r *counterReference) take(now int64, n *big.Int) { r.at(now); r.current += n.Int64() }

func (r *counterReference) refund(now, n, at int64) int64 {
	r.at(now)
	if at < r.start || at >= r.start+r.per {
		return 0
	}
	back := min(n, r.current)
	r.current -= back
	return back
}

func (r *counterReference) credit(now, n int64) int64 {
	r.at(now)
	estimate := r.estimate(now)
	back := new(big.Int).Set(estimate)
	if n := big.NewInt(n); back.Cmp(n) > 0 {
		back = n
	}
	rest := back.Int64() - min(back.Int64(), r.current)
	r.current -= min(back.Int64(), r.current)
	if back.Cmp(estimate) == 0 {
		r.last = 0
	} else if rest > 0 {
		// The most that is worth no more than the rest is now.
		cut := new(big.Int).Mul(big.NewInt(rest), big.NewInt(r.per))
		cut.Div(cut, big.NewInt(r.start+r.per-now))
		r.last -= min(r.last, cut.Int64())
	}
	return back.Int64()
}

func (r *counterReference) clear() { r.last, r.current = 0, 0 }

// reset searches for the first instant at which the estimate is nothing and stays so.
func (r *counterReference) reset(now int64) int64 {
	r.at(now)
	low, high := int64(0), 2*r.per
	for low < high {
		middle := (low + high) / 2
		later := *r
		later.at(now + middle)
		if later.estimate(now+middle).Sign() == 0 {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

func TestSlidingCounter(t *testing.T) {
	s := SlidingCounter{}
	limits := []Limit{
		PerSecond(1).WithStrategy(s),
		PerSecond(10).WithStrategy(s),
		PerMinute(1000).WithStrategy(s),
		PerHour(100_000).WithStrategy(s),
		PerHour(100_000_000).WithStrategy(s),
		{Units: 10, Per: Tick, Strategy: s},
		{Units: 30, Per: Tick, Strategy: s},
		{Units: 100, Per: 7 * Tick, Strategy: s},
		{Units: maxCount, Per: time.Hour, Strategy: s},
		{Units: 20, Per: years(2), Strategy: s},
	}
	runTraces(t, limits, func(l *Limit) reference {
		return &counterReference{capacity: l.Units, per: l.ticks}
	})
}

// The two ends of what one word holds: at least as much debt again as the limit has units.
func TestSlidingCounterWords(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		words int
	}{
		{PerSecond(22_600), 1}, {PerSecond(23_000), 3}, {PerMinute(175_000), 1}, {PerMinute(176_000), 3},
		{PerHour(1_350_000), 1}, {PerHour(1_360_000), 3},
	} {
		l, err := c.limit.WithStrategy(SlidingCounter{}).Compile()
		if err != nil || l.words != c.words {
			t.Errorf("%d/%v: %d words, %v", c.limit.Units, c.limit.Per, l.words, err)
		}
	}
}

func TestSquareRoot(t *testing.T) {
	for _, x := range []int64{1, 2, 3, 4, 8, 9, 2048, 1<<40 - 1, 1 << 40, 1<<59 - 1, 1 << 59} {
		if r := squareRoot(x); r*r > x || (r+1)*(r+1) <= x {
			t.Errorf("squareRoot(%d) = %d", x, r)
		}
	}
}
