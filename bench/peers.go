package bench

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/go-chi/httprate"
	"github.com/juju/ratelimit"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	uber "go.uber.org/ratelimit"
	"golang.org/x/time/rate"
)

// Peers are the limiters to compare with, each as its documentation shows it. Those that know no keys stand behind a map and a
// mutex, which is what their users write.
func Peers() []Contestant {
	return []Contestant{
		{Name: "x/time/rate", Note: "behind a map and a mutex", Mapped: true, New: newXTime},
		{Name: "go-limiter", Note: "memorystore; refilled in steps", New: newGoLimiter},
		{Name: "throttled", Note: "GCRA, memstore without a bound", New: newThrottled},
		{Name: "ulule", Note: "memory store; fixed window", New: newUlule},
		{Name: "httprate", Note: "OnLimit; sliding counter; keeps a hash of the key", New: newHTTPRate},
		{Name: "failsafe-go", Note: "bursty, that is fixed windows; behind a map and a mutex", Mapped: true, New: newFailsafe},
		{Name: "juju", Note: "behind a map and a mutex", Mapped: true, New: newJuju},
		{Name: "uber", Note: "knows no keys and cannot refuse: it waits", Aside: true, OneKey: true, New: newUber},
	}
}

// keyed holds one limiter for each key behind a mutex.
type keyed[L any] struct {
	mu    sync.Mutex
	byKey map[string]L
	make  func() L
}

func newKeyed[L any](limiter func() L) *keyed[L] {
	return &keyed[L]{byKey: map[string]L{}, make: limiter}
}

func (k *keyed[L]) get(key string) L {
	k.mu.Lock()
	defer k.mu.Unlock()
	l, ok := k.byKey[key]
	if !ok {
		l = k.make()
		k.byKey[key] = l
	}
	return l
}

func newXTime(l Limit) (*Subject, error) {
	limiters := newKeyed(func() *rate.Limiter { return rate.NewLimiter(rate.Every(l.Every), int(l.Burst)) })
	return shared(func(keys []string) (granted int) {
		for _, key := range keys {
			if limiters.get(key).Allow() {
				granted++
			}
		}
		return granted
	}), nil
}

func newGoLimiter(l Limit) (*Subject, error) {
	store, err := memorystore.New(&memorystore.Config{
		Tokens:        uint64(l.Burst),
		Interval:      l.Window(),
		SweepInterval: max(time.Second, min(l.Window()/4, time.Hour)),
		SweepMinTTL:   l.Window(),
	})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	s := shared(func(keys []string) (granted int) {
		for _, key := range keys {
			if _, _, _, ok, err := store.Take(ctx, key); ok && err == nil {
				granted++
			}
		}
		return granted
	})
	s.Close = func() { _ = store.Close(ctx) }
	return s, nil
}

func newThrottled(l Limit) (*Subject, error) {
	store, err := memstore.NewCtx(0)
	if err != nil {
		return nil, err
	}
	limiter, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{
		MaxRate:  throttled.PerDuration(1, l.Every),
		MaxBurst: int(l.Burst) - 1,
	})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	return shared(func(keys []string) (granted int) {
		for _, key := range keys {
			if limited, _, err := limiter.RateLimitCtx(ctx, key, 1); !limited && err == nil {
				granted++
			}
		}
		return granted
	}), nil
}

func newUlule(l Limit) (*Subject, error) {
	store := memory.NewStoreWithOptions(limiter.StoreOptions{
		Prefix:          limiter.DefaultPrefix,
		CleanUpInterval: max(time.Second, min(l.Window()/4, time.Hour)),
	})
	limits := limiter.New(store, limiter.Rate{Period: l.Window(), Limit: l.Burst})
	ctx := context.Background()
	return shared(func(keys []string) (granted int) {
		for _, key := range keys {
			if c, err := limits.Get(ctx, key); err == nil && !c.Reached {
				granted++
			}
		}
		return granted
	}), nil
}

// newHTTPRate asks as httprate's middleware does, without its headers; no other of its exported calls takes and says no.
func newHTTPRate(l Limit) (*Subject, error) {
	limits := httprate.NewRateLimiter(int(l.Burst), l.Window(), httprate.WithResponseHeaders(httprate.ResponseHeaders{}))
	return &Subject{NewDecider: func() Decider {
		w := &discard{header: http.Header{}}
		r := &http.Request{}
		return func(keys []string) (granted int) {
			for _, key := range keys {
				if !limits.OnLimit(w, r, key) {
					granted++
				}
			}
			return granted
		}
	}}, nil
}

func newFailsafe(l Limit) (*Subject, error) {
	limiters := newKeyed(func() ratelimiter.RateLimiter[any] { return ratelimiter.NewBursty[any](uint(l.Burst), l.Window()) })
	return shared(func(keys []string) (granted int) {
		for _, key := range keys {
			if limiters.get(key).TryAcquirePermit() {
				granted++
			}
		}
		return granted
	}), nil
}

func newJuju(l Limit) (*Subject, error) {
	limiters := newKeyed(func() *ratelimit.Bucket { return ratelimit.NewBucket(l.Every, l.Burst) })
	return shared(func(keys []string) (granted int) {
		for _, key := range keys {
			if limiters.get(key).TakeAvailable(1) == 1 {
				granted++
			}
		}
		return granted
	}), nil
}

// newUber ignores the limit: its rate is set so high that it never waits.
func newUber(Limit) (*Subject, error) {
	limits := uber.New(1e9)
	return shared(func(keys []string) int {
		for range keys {
			limits.Take()
		}
		return len(keys)
	}), nil
}
