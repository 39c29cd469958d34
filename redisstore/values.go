package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// registered is the registry of the limits' values, and since when it is right about what the server has.
type registered struct {
	record.Registry
	since time.Time
}

// renewEvery is how long it is believed that the server still has the values: a server may lose what it holds.
const renewEvery = 10 * time.Minute

// registry is the registry of the limits' values.
func (s *Store) registry() *registered {
	r := s.values.Load()
	if r != nil && time.Since(r.since) < renewEvery {
		return r
	}
	fresh := &registered{since: time.Now()}
	fresh.Save, fresh.Load = s.saveValues, s.loadValues
	if s.values.CompareAndSwap(r, fresh) {
		return fresh
	}
	return s.values.Load()
}

// forget makes all values be saved again: the server has lost our scripts, so maybe more.
func (s *Store) forget() { s.values.Store(nil) }

// earlier finds the values that a record was written under.
func (s *Store) earlier(ctx context.Context) record.Earlier { return s.registry().Earlier(ctx) }

// saveValues keeps them for longer than a record can matter.
func (s *Store) saveValues(ctx context.Context, limitID string, variant uint64, values string) error {
	l, err := (&stint.Limit{ID: limitID}).WithValues(values)
	if err != nil {
		return err
	}
	lasts := 25*time.Hour + 2*time.Duration(min(l.Horizon(), maxFill))*stint.Tick
	return s.link.try(ctx, func() redis.Cmder { return s.link.client.Set(ctx, valuesKey(limitID, variant), values, lasts) })
}

// loadValues finds values. Where the server has lost them the keys count as empty until they may be forgotten, which is the safe
// side of what they can have been.
func (s *Store) loadValues(ctx context.Context, limitID string, variant uint64) (values string, err error) {
	var cmd *redis.StringCmd
	err = s.link.try(ctx, func() redis.Cmder {
		cmd = s.link.client.Get(ctx, valuesKey(limitID, variant))
		return cmd
	})
	if errors.Is(err, redis.Nil) {
		return lostValues, nil
	}
	if err != nil {
		return "", err
	}
	return cmd.Val(), nil
}

// lostValues are those of a strategy that nobody knows.
const lostValues = "1 1000 0 1 lost"
