package stint

import (
	"errors"
	"math"
	"math/big"
	"testing"
	"time"
)

// windowReference counts in windows that it looks up.
type windowReference struct {
	capacity   int64
	window     func(now int64) (start, end int64)
	start, end int64
	used       *big.Int
}

func newWindowReference(capacity int64, window func(now int64) (start, end int64)) reference {
	return &windowReference{capacity: capacity, window: window, used: new(big.Int)}
}

// at moves on to now's window.
func (r *windowReference) at(now int64) {
	if start, end := r.window(now); start > r.start || r.used.Sign() == 0 {
		r.start, r.end, r.used = start, end, new(big.Int)
	}
}

func (r *windowReference) room(now int64) *big.Int { r.at(now); return roomOf(r.capacity, r.used) }

func (r *windowReference) take(now int64, n *big.Int) {
	r.at(now)
	r.used = new(big.Int).Add(r.used, n)
}

func (r *windowReference) credit(now, n int64) int64 {
	r.at(now)
	back := big.NewInt(n)
	if back.Cmp(r.used) > 0 {
		back = r.used
	}
	r.used = new(big.Int).Sub(r.used, back)
	return back.Int64()
}

func (r *windowReference) refund(now, n, at int64) int64 {
	r.at(now)
	if at < r.start || at >= r.end {
		return 0
	}
	return r.credit(now, n)
}

func (r *windowReference) clear() { r.used = new(big.Int) }

func (r *windowReference) reset(now int64) int64 {
	if r.at(now); r.used.Sign() == 0 {
		return 0
	}
	return r.end - now
}

func TestFixedWindow(t *testing.T) {
	s := FixedWindow{}
	limits := []Limit{
		PerSecond(1).WithStrategy(s),
		PerSecond(10).WithStrategy(s),
		PerHour(100).WithStrategy(s),
		PerDay(1_000_000_000).WithStrategy(s),
		{Units: 100, Per: 7 * time.Microsecond, Strategy: s},
		{Units: 500, Per: Tick, Strategy: s},
		{Units: 1<<59 - 1, Per: Tick * time.Duration(maxSpan), Strategy: s},
	}
	runTraces(t, limits, func(l *Limit) reference {
		return newWindowReference(l.Units, func(now int64) (start, end int64) {
			start = now / l.ticks * l.ticks
			return start, start + l.ticks
		})
	})
}

func TestFixedWindowRefusedLimits(t *testing.T) {
	for _, l := range []Limit{
		PerSecond(10).WithBurst(20),
		{Units: 2048, Per: Tick},
		{Units: math.MaxInt64, Per: time.Second},
		{Units: 1, Per: 1500 * time.Nanosecond},
		{Units: 1, Per: math.MaxInt64},
	} {
		_, err := l.WithStrategy(FixedWindow{}).Compile()
		if refused := new(LimitError); !errors.As(err, &refused) {
			t.Errorf("%d/%v: %v", l.Units, l.Per, err)
		}
	}
}
