package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/redisstore"
	"github.com/stint-go/stint/storetest/servers"
)

// redisOpener is for the kit.
func redisOpener(address string) limittest.Open {
	return func(t testing.TB, clock *limittest.Clock) stint.Store {
		o := redisstore.Options{Timeout: 30 * time.Second} // the machine may be busy
		if clock != nil {
			o.Clock = clock.Now
		}
		s, err := redisstore.Open(context.Background(), address, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// TestRedis is the kit on a single server, whole, on a clock that the tests move.
func TestRedis(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{Checks: 15, Rounds: 5}, redisOpener(servers.Redis(t).Address()))
}

func TestRedisOnItsOwnClock(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{RealClock: true}, redisOpener(servers.Redis(t).Address()))
}

// ownStrategy is a user's, of which there is no transcription.
type ownStrategy struct{ stint.IntervalBucket }

func (ownStrategy) Name() string { return "their-own" }

// TestRedisOwnStrategy is the kit with a strategy that is compared and set.
func TestRedisOwnStrategy(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{Checks: 5, Rounds: 3, Strategies: []stint.Strategy{ownStrategy{}}}, redisOpener(servers.Redis(t).Address()))
}

// Stores of several processes that compare and set one key together grant no unit twice, and give up rather than try for ever.
func TestRedisContention(t *testing.T) {
	address := servers.Redis(t).Address()
	l, err := stint.PerDay(200).WithStrategy(ownStrategy{}).WithID(fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano())).Compile()
	if err != nil {
		t.Fatal(err)
	}
	var granted, gaveUp atomic.Int64
	var processes sync.WaitGroup
	var stores []*redisstore.Store
	for range 4 {
		stores = append(stores, redisOpened(t, address))
	}
	for _, s := range stores {
		processes.Go(func() {
			granted.Add(takes(s, l, 4, 15, func(err error) {
				if gaveUp.Add(1); !errors.Is(err, stint.ErrContention) {
					t.Error(err)
				}
			}))
		})
	}
	processes.Wait()
	again := int64(0)
	for _, s := range stores {
		again += s.Stats().Again
	}
	t.Logf("%d tries came to nothing, %d calls gave up", again, gaveUp.Load())
	rest := takes(stores[0], l, 1, 200, func(err error) { t.Error(err) })
	if got := granted.Load() + rest; got != 200 {
		t.Errorf("%d of 200 granted", got)
	}
}
