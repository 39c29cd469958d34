package stores

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batch"
	"github.com/stint-go/stint/deny"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/lease"
)

// StackOptions are how a shared store is used by a program that serves. The zero value is ready to use.
type StackOptions struct {
	Options

	// Deadline bounds how long a call waits for the store. Default: [Deadline].
	Deadline time.Duration

	// Choices says by limit ID what a call gets while the store is lost, Default what it gets under the others. Instances is how many
	// share the store, which failover.Local needs. Default: failover.Closed.
	Choices   map[string]failover.Choice
	Default   failover.Choice
	Instances int

	// Leases are the limits of which units are taken in blocks and spent in memory, by ID, with the largest block of a key. Default: none.
	Leases map[string]int64

	// Log is told, once each, that the store is lost and that it is back. Default: nobody is told.
	Log *slog.Logger
}

// The deadlines by kind of store: a hot row of a database that waits for its disk takes some 20 ms.
const (
	redisDeadline = 25 * time.Millisecond
	sqlDeadline   = 250 * time.Millisecond
)

// Deadline is how long a call waits for the store at an address, unless another time is chosen: 25 ms for Redis, 250 ms for
// databases.
func Deadline(address string) time.Duration {
	if k, err := kindOf(address); err == nil && k == redis {
		return redisDeadline
	}
	return sqlDeadline
}

// Stack is a shared store with what belongs in front of it, from the outside in: package deny answers those who keep calling
// against a limit, package failover bounds each call and decides without the store when it is lost, and package batch merges calls
// that come at the same time. Between those two, package lease spends units in memory, for limits that are to be leased. Close closes it with the store. It is safe for concurrent use.
type Stack struct {
	stint.Store
	failover *failover.Store
	leased   atomic.Pointer[lease.Store] // the one in use; nil while the store has not been there yet
	shown    string                      // the address without secrets
	leases   atomic.Pointer[map[string]int64]
	log      *slog.Logger
	lost     time.Time // since when; the failover's goroutine has it
}

// startWithin bounds how long the start waits for the store, and the others how long it takes until a store counts as not there: one
// that makes its tables takes longer.
const (
	startWithin     = time.Second
	openRedisWithin = time.Second
	openSQLWithin   = 5 * time.Second
)

// NewStack makes a stack on the store at an address. Where that is not there it is a lost one, and comes when it is. The error is
// of an address or options that can never do.
func NewStack(ctx context.Context, address string, o StackOptions) (*Stack, error) {
	if err := Check(address); err != nil {
		return nil, err
	}
	if o.Deadline == 0 {
		o.Deadline = Deadline(address)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stack{shown: Redacted(address), log: o.Log}
	if o.Redis.Warn == nil {
		o.Redis.Warn = func(warning string) {
			s.log.Warn("the store may not keep the counts", "store", s.shown, "warning", warning)
		}
	}
	s.leases.Store(&o.Leases)
	open := func(ctx context.Context) (stint.Store, error) { return s.open(ctx, address, o.Options) }
	lossy := failover.Options{
		Timeout: o.Deadline, Choices: o.Choices, Default: o.Default, Instances: o.Instances, OnChange: s.changed,
	}
	starting, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	inner, err := open(starting)
	if err != nil {
		lossy.Open = open // which will fail the same way, and be told of
	}
	if s.failover, err = failover.New(inner, lossy); err != nil {
		return nil, errors.Join(err, closed(inner))
	}
	if s.Store, err = deny.New(s.failover, deny.Options{}); err != nil {
		return nil, errors.Join(err, s.failover.Close())
	}
	return s, nil
}

// open opens the store with what is under the failover: leases, and under them merging.
func (s *Stack) open(ctx context.Context, address string, o Options) (stint.Store, error) {
	within := openSQLWithin
	if k, err := kindOf(address); err == nil && k == redis {
		within = openRedisWithin
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	inner, err := Open(ctx, address, o)
	if err != nil {
		return nil, err
	}
	merged, err := batch.New(inner, batch.Options{})
	if err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	leased, err := lease.New(merged, lease.Options{Blocks: blocksOf(*s.leases.Load())})
	if err != nil {
		return nil, errors.Join(err, merged.Close())
	}
	s.leased.Store(leased)
	return leased, nil
}

// blocksOf are the leases as their store wants them: none is not the same as nothing said.
func blocksOf(leases map[string]int64) map[string]int64 {
	if leases == nil {
		return map[string]int64{}
	}
	return leases
}

// SetLeases changes which limits are leased.
func (s *Stack) SetLeases(leases map[string]int64) error {
	s.leases.Store(&leases)
	if leased := s.leased.Load(); leased != nil {
		return leased.SetBlocks(blocksOf(leases))
	}
	return nil
}

func closed(s stint.Store) error {
	if s == nil {
		return nil
	}
	return s.Close()
}

// Check says what is wrong with an address, without asking anybody. A store that is not there is not wrong.
func Check(address string) error {
	ended, end := context.WithCancel(context.Background())
	end()
	s, err := Open(ended, address, Options{})
	if err == nil {
		return s.Close()
	}
	// What has got as far as the network has read the address. Its error may be a text alone, with secrets taken out.
	secrets := secretsIn(address)
	for _, sign := range []error{context.Canceled, errors.New("operation was canceled")} {
		if errors.Is(err, sign) || strings.Contains(err.Error(), withoutSecrets(sign, secrets).Error()) {
			return nil
		}
	}
	return err
}

// changed logs that the store is lost, or is back.
func (s *Stack) changed(lost bool, cause error) {
	if lost {
		s.lost = time.Now()
		s.log.Error("the store is lost: until it is back each limit's on-store-loss holds", "store", s.shown, "error", cause)
		return
	}
	s.log.Info("the store is back", "store", s.shown, "after", time.Since(s.lost).Round(time.Millisecond))
}

// SetChoices changes what calls get while the store is lost, and how many instances share it.
func (s *Stack) SetChoices(choices map[string]failover.Choice, instances int) error {
	// Neither may be without the other for a moment, so first comes what allows more.
	if instances > 0 {
		return errors.Join(s.failover.SetInstances(instances), s.failover.SetChoices(choices))
	}
	return errors.Join(s.failover.SetChoices(choices), s.failover.SetInstances(instances))
}

// lookEvery is how often calls that got no answer are told of.
const lookEvery = 10 * time.Second

// Watch logs, until ctx ends, that some calls get no answer of a store that is not lost: it is too slow, or too far away.
func (s *Stack) Watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for before := s.failover.Stats(); ; {
		select {
		case <-tick.C:
			now := s.failover.Stats()
			if calls := now.Failures - before.Failures; calls > 0 && !now.Lost && now.Losses == before.Losses {
				s.log.Warn("calls got no answer of the store in time, and on-store-loss decided them; if this goes on, give it a longer deadline",
					"store", s.shown, "calls", calls, "error", now.Cause)
			}
			before = now
		case <-ctx.Done():
			return
		}
	}
}

// Lost says whether the store is lost now.
func (s *Stack) Lost() bool { return s.failover.Stats().Lost }

// Stats are the counts of the failover.
func (s *Stack) Stats() failover.Stats { return s.failover.Stats() }
