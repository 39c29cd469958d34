package stint

import (
	"math"
	"math/big"
	"testing"
	"time"
)

// intervalReference refills step by step.
type intervalReference struct {
	capacity, refill, per int64
	start                 int64
	used                  *big.Int
}

func (r *intervalReference) at(now int64) {
	for r.used.Sign() > 0 && now >= r.start+r.per {
		r.start += r.per
		if r.used = new(big.Int).Sub(r.used, big.NewInt(r.refill)); r.used.Sign() < 0 {
			r.used = new(big.Int)
		}
	}
	if r.used.Sign() == 0 {
		r.start = now
	}
}

func (r *intervalReference) room(now int64) *big.Int { r.at(now); return roomOf(r.capacity, r.used) }

func (r *intervalReference) take(now int64, n *big.Int) {
	r.at(now)
	r.used = new(big.Int).Add(r.used, n)
}

func (r *intervalReference) credit(now, n int64) int64 {
	r.at(now)
	back := big.NewInt(n)
	if back.Cmp(r.used) > 0 {
		back = r.used
	}
	r.used = new(big.Int).Sub(r.used, back)
	return back.Int64()
}

func (r *intervalReference) refund(now, n, at int64) int64 {
	r.at(now)
	left := big.NewInt(n)
	for edge := r.start; edge > at && left.Sign() > 0; edge -= r.per {
		left.Sub(left, big.NewInt(r.refill))
	}
	if left.Sign() <= 0 {
		return 0
	}
	return r.credit(now, left.Int64())
}

func (r *intervalReference) clear() { r.used = new(big.Int) }

func (r *intervalReference) reset(now int64) int64 {
	r.at(now)
	at := r.start
	for left := new(big.Int).Set(r.used); left.Sign() > 0; at += r.per {
		left.Sub(left, big.NewInt(r.refill))
	}
	return at - now
}

func TestIntervalBucket(t *testing.T) {
	s := IntervalBucket{}
	limits := []Limit{
		PerSecond(1).WithStrategy(s),
		PerSecond(10).WithStrategy(s),
		PerHour(100).WithStrategy(s),
		PerSecond(3).WithBurst(10).WithStrategy(s),
		PerSecond(10).WithBurst(3).WithStrategy(s),
		PerMinute(1).WithBurst(50).WithStrategy(s),
		{Units: 5, Per: Tick, Strategy: s},
		{Units: 3, Per: 7 * Tick, Burst: 20, Strategy: s},
		{Units: math.MaxInt64, Per: time.Hour, Strategy: s},
		{Units: math.MaxInt64 / 3, Per: time.Hour, Burst: math.MaxInt64, Strategy: s},
		{Units: 20, Per: years(1) / 20, Burst: 100, Strategy: s},
	}
	runTraces(t, limits, func(l *Limit) reference {
		return &intervalReference{capacity: l.capacity, refill: l.Units, per: l.ticks, used: new(big.Int)}
	})
}

// A bucket of 10 that gets 3 back each second, empty at 0: what a call is told to wait comes down inside the period.
func TestIntervalBucketWaits(t *testing.T) {
	l, err := Limit{Units: 3, Per: time.Second, Burst: 10, Strategy: IntervalBucket{}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	const second = int64(time.Second / Tick)
	s, _ := l.Strategy.Apply(State{}, l, 0, TakeOp(10))
	for _, step := range []struct{ now, n, granted, wait, remaining int64 }{
		{400_000, 4, 0, 1_600_000, 0},
		{2*second - 1, 4, 0, 1, 3},
		{2 * second, 4, 4, 0, 2},
		{2 * second, 11, 0, Forever, 2},
	} {
		next, a := l.Strategy.Apply(s, l, step.now, TakeOp(step.n))
		if a.Granted != step.granted || a.Wait != step.wait || a.Remaining != step.remaining {
			t.Errorf("%+v: %+v", step, a)
		}
		s = next
	}
}
