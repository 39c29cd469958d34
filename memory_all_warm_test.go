package stint

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// A call with several claims on keys that are there says and leaves the same as the strategies do by themselves.
func TestAllWarmAgainstTheStrategies(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{})
	random := rand.New(rand.NewPCG(3, 4))
	limits := []*Limit{
		mustCompile(t, Limit{ID: "a", Units: 20, Per: time.Second, Burst: 30}),
		mustCompile(t, Limit{ID: "b", Units: 7, Per: time.Second, Burst: 50}),
		mustCompile(t, Limit{ID: "c", Units: 40, Per: time.Second, Strategy: FixedWindow{}}),
		mustCompile(t, Limit{ID: "d", Units: 40, Per: time.Second, Strategy: SlidingCounter{}}),
		mustCompile(t, Limit{ID: "e", Units: 1000, Per: time.Second, Burst: 2, Strategy: Pacing{}}),
	}
	type place struct {
		limit *Limit
		key   string
	}
	states := map[place]State{}
	granted := 0
	for step := range 20_000 {
		clock.advance(time.Duration(random.Int64N(200)) * time.Millisecond / 4)
		var claims []Claim
		for _, l := range limits {
			if random.IntN(2) == 0 {
				claims = append(claims, Claim{Limit: l, Key: string('x' + rune(random.IntN(2))), Op: TakeOp(1 + random.Int64N(6))})
			}
		}
		random.Shuffle(len(claims), func(i, j int) { claims[i], claims[j] = claims[j], claims[i] })
		into := make([]Outcome, len(claims))
		if err := m.All(context.Background(), claims, into); err != nil {
			t.Fatal(err)
		}
		all := true
		next := make([]State, len(claims))
		for i, c := range claims {
			var a Answer
			next[i], a = c.Limit.Strategy.Apply(states[place{c.Limit, c.Key}], c.Limit, m.now(), c.Op)
			all = all && a.Granted == c.Op.Min
		}
		for i, c := range claims {
			at := place{c.Limit, c.Key}
			n, want := c.Limit.Strategy.Apply(states[at], c.Limit, m.now(), c.Op)
			if !all && want.Granted > 0 {
				_, want = c.Limit.Strategy.Apply(states[at], c.Limit, m.now(), LookOp(c.Op.Min))
				want.Granted = c.Op.Min
			}
			if into[i].Answer != want || into[i].Mark.At() != m.now() {
				t.Fatalf("step %d, claim %d of %d on %s: %+v, want %+v", step, i, len(claims), c.Limit.ID, into[i].Answer, want)
			}
			if all {
				states[at] = n
			}
		}
		if all {
			granted++
		}
	}
	if granted < 2000 || granted > 19_000 {
		t.Errorf("%d calls were granted: the test has no edge", granted)
	}
}

// Calls with the same claims in another order, and single calls between, take what there is and no more.
func TestAllWarmConcurrently(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	both := newTestLimiter(t, m, Limit{ID: "a", Units: 1, Per: time.Hour, Burst: 3000}, Limit{ID: "b", Units: 1, Per: time.Hour, Burst: 2000})
	turned := newTestLimiter(t, m, Limit{ID: "b", Units: 1, Per: time.Hour, Burst: 2000}, Limit{ID: "a", Units: 1, Per: time.Hour, Burst: 3000})
	alone := newTestLimiter(t, m, Limit{ID: "a", Units: 1, Per: time.Hour, Burst: 3000})
	var group sync.WaitGroup
	var mu sync.Mutex
	var a, b int
	for _, l := range []*Limiter{both, turned, alone, both} {
		group.Go(func() {
			n := 0
			for range fewer(20_000) {
				if l.Allow("k") {
					n++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if a += n; l != alone {
				b += n
			}
		})
	}
	group.Wait()
	if left := remaining(t, alone, "k"); int64(3000-a) != left || a > 3000 || b > 2000 || a < 3000 && b < 2000 {
		t.Errorf("%d and %d were granted, %d left of the first", a, b, left)
	}
}
