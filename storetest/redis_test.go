package storetest

import (
	"context"
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
	limittest.StoreWith(t, limittest.StoreOptions{Checks: 30, Rounds: 10}, redisOpener(servers.Redis(t).Address()))
}

func TestRedisOnItsOwnClock(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{RealClock: true}, redisOpener(servers.Redis(t).Address()))
}
