package limittest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stint-go/stint"
)

// together runs f in so many goroutines at once.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	var arrived atomic.Int32
	for i := range n {
		wg.Go(func() {
			arrived.Add(1)
			for arrived.Load() < int32(n) {
				runtime.Gosched()
			}
			f(i)
		})
	}
	wg.Wait()
}

// storeExactlyCapacity: callers on one key get its capacity together, not one unit more, and none less where a store is exact.
func storeExactlyCapacity(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	units := int64(s.some(20_000, 200)) // many, so that the callers do meet
	for _, limit := range s.lasting(t, units) {
		want := units
		if !countsUnits(limit) {
			want = 1
		}
		var granted, failed atomic.Int64
		together(s.Callers, func(int) {
			for range int(2*units) / s.Callers {
				a, _, err := store.One(context.Background(), limit, "k", stint.TakeOp(1))
				if err != nil {
					failed.Add(1)
				}
				granted.Add(a.Granted)
			}
		})
		if failed.Load() > 0 {
			t.Fatalf("%s: %d calls failed", showLimit(limit), failed.Load())
		}
		if got := granted.Load(); got > want || got < want && !s.RefusesEarly {
			t.Fatalf("%s: %d units admitted to %d callers, want %d", showLimit(limit), got, s.Callers, want)
		}
	}
}

// storeAllAtOnce: calls that claim the same two keys in opposite order come to an end, and take from both or from neither.
func storeAllAtOnce(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	units := int64(s.some(200, 40))
	for _, strategy := range s.Strategies {
		a, b := s.lastingOf(t, strategy, units+100), s.lastingOf(t, strategy, units)
		if !countsUnits(a) {
			continue
		}
		l := limiter(t, store)
		var admitted, failed atomic.Int64
		together(s.Callers, func(i int) {
			claims := []stint.Claim{stint.NewClaim(a, "k", 1), stint.NewClaim(b, "k", 1), stint.NewClaim(a, "j", 1)}
			if i%2 == 1 {
				claims[0], claims[2] = claims[2], claims[0]
				claims[0], claims[1] = claims[1], claims[0]
			}
			for range 4*int(units)/s.Callers + 1 {
				d, err := l.TakeAll(context.Background(), claims, nil)
				if err != nil {
					failed.Add(1)
				} else if d.Allowed {
					admitted.Add(1)
				}
			}
		})
		if failed.Load() > 0 {
			t.Fatalf("%s: %d calls failed", strategy.Name(), failed.Load())
		}
		if got := admitted.Load(); got > units || got < units && !s.RefusesEarly {
			t.Fatalf("%s: %d calls admitted, want %d", strategy.Name(), got, units)
		}
		if s.RefusesEarly {
			continue
		}
		for _, left := range []stint.Answer{one(t, store, a, "k", stint.LookOp(1)), one(t, store, a, "j", stint.LookOp(1))} {
			if left.Remaining != 100 {
				t.Fatalf("%s: %d calls left %d of %d", strategy.Name(), units, left.Remaining, units+100)
			}
		}
	}
}

// storeNewKeyAtOnce: callers that make one new key at the same moment make it once.
func storeNewKeyAtOnce(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	rounds := s.some(200, 10)
	for _, limit := range s.lasting(t, 1) {
		for round := range rounds {
			var granted, failed atomic.Int64
			together(s.Callers, func(int) {
				a, _, err := store.One(context.Background(), limit, fmt.Sprint("new", round), stint.TakeOp(1))
				if err != nil {
					failed.Add(1)
				}
				granted.Add(a.Granted)
			})
			if got := granted.Load(); failed.Load() > 0 || got > 1 || got < 1 && !s.RefusesEarly {
				t.Fatalf("%s: %d units of 1 admitted on a new key, %d calls failed", showLimit(limit), got, failed.Load())
			}
		}
	}
}

// storeManyKeysAtOnce: keys that are made and asked by many callers while the store grows each get their capacity.
func storeManyKeysAtOnce(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	keys := s.some(1500, 20)
	for _, limit := range s.lasting(t, 3) {
		want := int64(3)
		if !countsUnits(limit) {
			want = 1
		}
		granted := make([]atomic.Int64, keys)
		var failed atomic.Int64
		together(s.Callers, func(i int) {
			for round := range 5 {
				for k := range keys {
					// Callers meet on each key in pairs, and pass through the keys from different ends.
					if (k+round)%(s.Callers/2+1) != i/2 {
						continue
					}
					key := k
					if i%2 == 1 {
						key = keys - 1 - k
					}
					a, _, err := store.One(context.Background(), limit, fmt.Sprint("many", key), stint.TakeOp(1))
					if err != nil {
						failed.Add(1)
					}
					granted[key].Add(a.Granted)
				}
			}
		})
		if failed.Load() > 0 {
			t.Fatalf("%s: %d calls failed", showLimit(limit), failed.Load())
		}
		for k := range keys {
			for range 3 { // whatever is left
				granted[k].Add(one(t, store, limit, fmt.Sprint("many", k), stint.TakeOp(1)).Granted)
			}
			if got := granted[k].Load(); got > want || got < want && !s.RefusesEarly {
				t.Fatalf("%s: key %d was granted %d, want %d", showLimit(limit), k, got, want)
			}
		}
	}
}
