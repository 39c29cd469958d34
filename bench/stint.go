package bench

import (
	"context"
	"time"

	"github.com/stint-go/stint"
)

// Ours are the ways to ask Stint: the plain call first.
func Ours() []Contestant {
	return []Contestant{
		{Name: "stint", Note: "`Allow`; exact; keeps a hash of the key", Ours: true, New: newStint(allow)},
		{Name: "stint, Take", Note: "with the whole decision: what is left, when to come back", Ours: true, Aside: true, New: newStint(take)},
		{Name: "stint, caller's time", Note: "`AllowAt`, the clock read once for 64 calls", Ours: true, Aside: true, New: newStint(allowAt)},
		{Name: "stint, batch of yes and no", Note: "`AllowMany`, 64 calls at a time", Ours: true, Aside: true, New: newStint(allowMany)},
		{Name: "stint, batch", Note: "`TakeMany`, 64 calls at a time, whole decisions", Ours: true, Aside: true, New: newStint(takeMany)},
	}
}

// batchSize is how many calls share one reading of the clock, or one call of TakeMany.
const batchSize = 64

// maxKeys leaves room for all keys of every part.
const maxKeys = 1 << 24

// newStint makes a token bucket on a memory store and asks it in the way given.
func newStint(ask func(*stint.Limiter) *Subject) func(Limit) (*Subject, error) {
	return func(l Limit) (*Subject, error) {
		return subject(ask, stint.Every(l.Every).WithBurst(l.Burst))
	}
}

func subject(ask func(*stint.Limiter) *Subject, limits ...stint.Limit) (*Subject, error) {
	store, err := stint.NewMemory(stint.MemoryOptions{MaxKeys: maxKeys})
	if err != nil {
		return nil, err
	}
	limiter, err := stint.NewWith(stint.Options{Store: store}, limits...)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	s := ask(limiter)
	s.Close = func() { _ = store.Close() }
	return s, nil
}

func allow(l *stint.Limiter) *Subject {
	return shared(func(keys []string) (granted int) {
		for _, key := range keys {
			if l.Allow(key) {
				granted++
			}
		}
		return granted
	})
}

func take(l *stint.Limiter) *Subject {
	ctx := context.Background()
	return shared(func(keys []string) (granted int) {
		for _, key := range keys {
			if d, err := l.Take(ctx, key, 1); d.Allowed && err == nil {
				granted++
			}
		}
		return granted
	})
}

func allowAt(l *stint.Limiter) *Subject {
	return &Subject{NewDecider: func() Decider {
		return func(keys []string) int {
			granted := 0
			for len(keys) > 0 {
				n := min(batchSize, len(keys))
				now := l.Now()
				for _, key := range keys[:n] {
					if l.AllowAt(key, 1, now) {
						granted++
					}
				}
				keys = keys[n:]
			}
			return granted
		}
	}}
}

func allowMany(l *stint.Limiter) *Subject {
	return &Subject{NewDecider: func() Decider {
		allowed := make([]bool, batchSize)
		return func(keys []string) int {
			granted := 0
			for len(keys) > 0 {
				n := min(batchSize, len(keys))
				if err := l.AllowMany(keys[:n], allowed[:n]); err != nil {
					return granted
				}
				for _, yes := range allowed[:n] {
					if yes {
						granted++
					}
				}
				keys = keys[n:]
			}
			return granted
		}
	}}
}

func takeMany(l *stint.Limiter) *Subject {
	ctx := context.Background()
	return &Subject{NewDecider: func() Decider {
		calls, results := make([]stint.Call, batchSize), make([]stint.Result, batchSize)
		return func(keys []string) int {
			granted := 0
			for len(keys) > 0 {
				n := min(batchSize, len(keys))
				for i, key := range keys[:n] {
					calls[i] = stint.Call{Key: key, N: 1}
				}
				if err := l.TakeMany(ctx, calls[:n], results[:n]); err != nil {
					return granted
				}
				for i := range results[:n] {
					if results[i].Allowed && results[i].Err == nil {
						granted++
					}
				}
				keys = keys[n:]
			}
			return granted
		}
	}}
}

// Strategies are Stint's strategies, the token bucket first, and a call that two limits hold. Each grants the row's burst in a
// day, but for pacing, which spaces by a microsecond what the row brings less often than that.
func Strategies() []Contestant {
	by := func(s stint.Strategy) func(int64) stint.Limit {
		return func(units int64) stint.Limit { return stint.PerDay(units).WithStrategy(s) }
	}
	bucket := func(units int64) stint.Limit { return stint.PerDay(units).WithBurst(units) }
	hourly := func(units int64) stint.Limit { return stint.PerHour(units).WithBurst(units) }
	paced := func(int64) stint.Limit { return stint.PerSecond(1e6).WithStrategy(stint.Pacing{}) }
	calendar := func(units int64) stint.Limit { return stint.PerCalendarDay(units, nil) }
	slots := func(units int64) stint.Limit {
		// Short, since a receipt that was used is remembered for as long.
		return stint.Limit{Units: units, Per: 10 * time.Millisecond, Strategy: stint.Concurrency{}}
	}
	of := func(name string, ask func(*stint.Limiter) *Subject, limits ...func(int64) stint.Limit) Contestant {
		return Contestant{Name: name, Ours: true, New: func(l Limit) (*Subject, error) {
			made := make([]stint.Limit, len(limits))
			for i, limit := range limits {
				made[i] = limit(l.Burst)
			}
			return subject(ask, made...)
		}}
	}
	return []Contestant{
		of("token bucket", allow, bucket),
		of("interval bucket", allow, by(stint.IntervalBucket{})),
		of("fixed window", allow, by(stint.FixedWindow{})),
		of("calendar day", allow, calendar),
		of("sliding window counter", allow, by(stint.SlidingCounter{})),
		of("sliding window log", allow, by(stint.SlidingLog{})),
		of("pacing", allow, paced),
		of("concurrency, a slot taken and given back", lend, slots),
		of("two token buckets, one call", allow, bucket, hourly),
	}
}

// lend takes a slot and gives it back.
func lend(l *stint.Limiter) *Subject {
	ctx := context.Background()
	return shared(func(keys []string) (granted int) {
		for _, key := range keys {
			d, err := l.Take(ctx, key, 1)
			receipt, ok := d.Receipt()
			if err != nil || !ok {
				continue
			}
			if _, err = l.Refund(ctx, receipt); err == nil {
				granted++
			}
		}
		return granted
	})
}

// StrategyRows are where the strategies are compared: each unit is granted, since the day has enough of them. Keys are in use
// for a while already, so that a log has its length.
func StrategyRows(many int) []Row {
	return []Row{
		{Name: "1k keys, 1 goroutine", Goroutines: 1, Limit: Limit{Burst: 1_000_000}, Keys: 1000, Before: 20, Stream: uniform},
		{Name: count(many) + " keys, 1 goroutine", Goroutines: 1, Limit: Limit{Burst: 1000}, Keys: many, Before: 20, Stream: uniform},
	}
}
