package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batch"
	"github.com/stint-go/stint/deny"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/limittest/fault"
)

// stacked is all wrappers around a store, in the order in which they belong.
func stacked(t testing.TB, inner stint.Store, clock func() int64) stint.Store {
	t.Helper()
	merged := batching(t, inner, batch.Options{Shards: 2, MaxBatch: 8})
	return remembering(t, surviving(t, merged, failover.Options{Failures: 3, Retry: 50 * time.Millisecond}), deny.Options{Clock: clock})
}

// The wrappers together are a store, too.
func TestStack(t *testing.T) {
	o := oneOfEachForm
	const why = "waits for larger costs than were refused are bounds"
	o.LeavesOut = map[string]string{"law2_as_the_exact_model": why, "linearizable": why}
	o.Strategies = []stint.Strategy{stint.TokenBucket{}, stint.SlidingLog{}}
	limittest.StoreWith(t, o, func(t testing.TB, clock *limittest.Clock) stint.Store {
		inner := fault.New(memoryStore(t, clock))
		inner.Always(yielding)
		merged := batching(t, inner, batch.Options{Shards: 1, MaxBatch: 5})
		return remembering(t, surviving(t, merged, failover.Options{Timeout: time.Hour}), deny.Options{Clock: clock.Now})
	})
}

// Many callers, some of whom leave, on a store that is slow, lost, silent or out of order at any time: law 1 holds, no call takes
// longer than it may, nobody gets an error but of his own doing, and when the store is well again all is as if nothing had been.
func TestStackInTrouble(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) { trouble(t, seed) })
	}
}

func trouble(t *testing.T, seed uint64) {
	memory := memoryStore(t, nil)
	inner := fault.New(memory)
	store := stacked(t, inner, nil)
	limit := compiledLimit(t, stint.PerSecond(100).WithBurst(30))
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	inner.Always(func(fault.Call) fault.Fault {
		slow := time.Duration(draw(3)) * time.Millisecond
		switch draw(30) {
		case 0:
			return fault.Fault{Error: errDown, Delay: slow}
		case 1:
			return fault.Fault{After: errDown, Delay: slow}
		case 2:
			return fault.Fault{Lost: true, Delay: slow}
		case 3:
			return fault.Fault{Hang: true}
		case 4:
			return fault.Fault{Mute: true, Delay: slow}
		case 5:
			return fault.Fault{Panic: "out of order", Delay: slow}
		}
		return fault.Fault{Delay: slow}
	})
	events := map[string][]limittest.Event{}
	var callers sync.WaitGroup
	for range 12 {
		callers.Go(func() {
			for range 150 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+draw(100))*time.Millisecond)
				key, begun := []string{"a", "b"}[draw(2)], time.Now()
				a, m, err := store.One(ctx, limit, key, stint.TakeOp(int64(1+draw(3))))
				if took := time.Since(begun); took > 25*time.Millisecond {
					t.Errorf("a call took %v", took)
				}
				if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
					t.Errorf("a call ended with %v", err)
				}
				cancel()
				if a.Granted > 0 {
					mu.Lock()
					events[key] = append(events[key], limittest.Event{At: m.At(), Units: a.Granted})
					mu.Unlock()
				}
				time.Sleep(time.Duration(draw(20)) * time.Millisecond)
				runtime.Gosched()
			}
		})
	}
	callers.Wait()
	for key, admitted := range events {
		if err := limittest.NeverOver(limit, admitted); err != nil {
			t.Errorf("seed %d, key %s: %v", seed, key, err)
		}
	}
	if len(events["a"]) < 20 || len(events["b"]) < 20 {
		t.Errorf("seed %d: only %d and %d calls were admitted", seed, len(events["a"]), len(events["b"]))
	}
	inner.Always(nil)
	time.Sleep(2 * time.Second)
	for _, key := range []string{"a", "b"} {
		if left := remaining(t, store, limit, key); left != 30 {
			t.Errorf("seed %d, key %s: %d of 30 remain two seconds later", seed, key, left)
		}
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}
