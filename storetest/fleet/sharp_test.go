package fleet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
)

// sharp is a process without a network that is led as near to its bound as it gets: what random callers seldom do.
type sharp struct {
	*run
	p *process
}

// lead leads a fleet of one through f, and judges it.
func lead(t *testing.T, l stint.Limit, plan Plan, f func(s *sharp)) (res Result) {
	t.Helper()
	plan.Limits, plan.Keys = []stint.Limit{l.WithID("limit")}, 1
	plan.Faults.Patience, plan.Lasts = time.Second, time.Hour
	synctest.Test(t, func(t *testing.T) {
		r := &run{plan: plan, born: time.Now()}
		r.depot = newDepot(t, time.Time{})
		p, err := r.start(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.processes = []*process{p}
		f(&sharp{r, p})
		if err := p.leases.Close(); err != nil {
			t.Error(err)
		}
		res = r.judge()
	})
	if res.Err != nil {
		t.Errorf("%s, leases of %v: %v", l, plan.Life, res.Err)
	}
	return res
}

// grow calls until the lease holds nearly all that it may.
func (s *sharp) grow() {
	for s.p.leases.Stats().Held < s.plan.MaxBlock*7/8 && s.one(s.p, "k", 1) {
		time.Sleep(10 * time.Microsecond)
	}
	for range s.plan.MaxBlock / 5 { // what is left of the block before: the last one would be given back as idle else
		s.one(s.p, "k", 1)
	}
}

// trickle calls now and then until the instant, so that nothing is given back as idle.
func (s *sharp) trickle(until time.Time) {
	for time.Until(until) > 0 {
		time.Sleep(min(s.plan.Life/5, time.Until(until)))
		if time.Until(until) > 0 {
			s.one(s.p, "k", 1)
		}
	}
}

// drain calls until it is refused.
func (s *sharp) drain() {
	for _, n := range []int64{16, 1} {
		for s.one(s.p, "k", n) {
			time.Sleep(settle)
		}
	}
}

// A bucket that is full again while a lease still holds units grants both: late by what the lease holds, and never by more than E.
func TestBucketAsLateAsCanBe(t *testing.T) {
	const held = 256
	latest := 0.0
	for _, inLife := range []int64{held / 2, held * 3 / 4, held, held * 3 / 2, held * 5 / 2} { // what is refilled in E
		for age := 1; age <= 16; age++ {
			l := stint.Limit{Units: inLife, Per: time.Second, Burst: 20 * held, Strategy: stint.TokenBucket{}}
			res := lead(t, l, Plan{Life: time.Second, MaxBlock: held}, func(s *sharp) {
				s.grow()
				s.trickle(time.Now().Add(time.Duration(age) * s.plan.Life / 4 * 99 / 100))
				s.drain()
			})
			latest = max(latest, res.Latest)
		}
	}
	if t.Logf("%.2f E late at most", latest); latest < 0.2 {
		t.Error("the bound is nowhere near: this shows nothing")
	}
}

// A lease ends with its window, on whatever side of the store's clock the process's is.
func TestWindowToItsEnd(t *testing.T) {
	for seed := range uint64(20) {
		l := stint.Limit{Units: 700, Per: 900 * time.Millisecond, Strategy: stint.FixedWindow{}}
		lead(t, l, Plan{Seed: seed, Life: time.Second, MaxBlock: 64, Faults: Faults{Drift: true}}, func(s *sharp) {
			edge := func() time.Time { return time.Now().Truncate(l.Per).Add(l.Per) }
			for range 3 {
				time.Sleep(time.Until(edge()))
				s.grow()
				s.trickle(edge().Add(-2 * time.Millisecond))
				for range 40 {
					s.one(s.p, "k", 1)
					time.Sleep(100 * time.Microsecond)
				}
				s.drain()
			}
		})
	}
}

// A lease on an interval bucket ends with the period of its charge, even where the bucket is full some periods later.
func TestIntervalToItsEnd(t *testing.T) {
	const held, units = 64, 8 * 64
	for part := range 10 {
		l := stint.Limit{Units: units, Per: time.Second, Burst: 2 * units, Strategy: stint.IntervalBucket{}}
		lead(t, l, Plan{Life: 3 * time.Second, MaxBlock: held}, func(s *sharp) {
			begun := time.Now()
			s.one(s.p, "k", units-held*(18+int64(part))/16)
			time.Sleep(900 * time.Millisecond)
			s.grow()
			s.trickle(begun.Add(1600 * time.Millisecond))
			s.drain()
			time.Sleep(time.Until(begun.Add(2001 * time.Millisecond)))
			s.drain()
		})
	}
}
