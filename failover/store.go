package failover

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
)

// Store passes calls on to a store that may be lost. It is safe for concurrent use.
type Store struct {
	options Options
	probing *stint.Limit
	inner   atomic.Pointer[stint.Store] // nil until it is opened
	tried   chan struct{}               // closed when it was tried to open the store
	choices atomic.Pointer[map[string]Choice]
	breaker breaker
	shares  shares
	owed    ledger
	counts  counts
	closed  atomic.Bool

	wake   chan struct{}
	stop   context.CancelFunc
	keeper sync.WaitGroup
	close  func() error
}

// New makes a store around the inner one, which it owns: Close closes both. If that is nil it is opened by Options.Open.
func New(inner stint.Store, o Options) (*Store, error) {
	if (inner == nil) == (o.Open == nil) {
		return nil, ErrNoStore
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	memory, err := stint.NewMemory(stint.MemoryOptions{MaxKeys: o.MaxKeys, Clock: o.Clock})
	if err != nil {
		return nil, err
	}
	probing, err := probeLimit.Compile()
	if err != nil {
		return nil, err
	}
	s := &Store{options: o, probing: probing, tried: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.choices.Store(&o.Choices)
	s.shares.store, s.shares.instances = memory, o.Instances
	s.owed.most = o.MaxKeys
	s.breaker.most, s.breaker.wake = o.Failures, s.wake
	if inner != nil {
		s.inner.Store(&inner)
		close(s.tried)
	} else {
		s.breaker.absent()
	}
	s.close = sync.OnceValue(s.shut)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.keeper.Go(func() { s.keep(ctx) })
	return s, nil
}

// SetChoices changes Options.Choices while calls go on, as a policy does that is read again. The map must not change afterwards.
func (s *Store) SetChoices(choices map[string]Choice) error {
	if err := s.options.check(choices, s.shares.among()); err != nil {
		return err
	}
	s.choices.Store(&choices)
	return nil
}

// SetInstances changes Options.Instances while calls go on. What a share has used it keeps under its new size.
func (s *Store) SetInstances(instances int) error {
	if instances < 0 {
		return fmt.Errorf("failover: %d instances: must be 0 or more", instances)
	}
	if err := s.options.check(*s.choices.Load(), instances); err != nil {
		return err
	}
	s.shares.divide(instances)
	return nil
}

// try asks the inner store, within Timeout. It says whether the store is lost to this call, and why. What the store has said
// itself, and the end of the caller's own context, are no loss.
func (s *Store) try(ctx context.Context, ask func(context.Context, stint.Store) error) (lost bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if s.closed.Load() {
		return false, stint.ErrClosed
	}
	if s.inner.Load() == nil {
		if err := s.waitTried(ctx); err != nil {
			return false, err
		}
	}
	age, whole := s.breaker.ask()
	if !whole {
		_, _, cause := s.breaker.lost()
		return true, cause
	}
	bounded := ctx
	if at, ok := ctx.Deadline(); !ok || time.Until(at) > s.options.Timeout {
		d := &deadline{inner: ctx, at: time.Now().Add(s.options.Timeout)}
		defer d.end()
		bounded = d
	}
	err = ask(bounded, *s.inner.Load())
	switch {
	case answered(err):
		s.breaker.succeeded(age)
		return false, err
	case ctx.Err() != nil:
		return false, ctx.Err()
	case s.closed.Load():
		return false, stint.ErrClosed
	}
	s.counts.failures.Add(1)
	if bounded.Err() != nil {
		s.counts.timeouts.Add(1)
	}
	s.breaker.failed(age, err)
	return true, err
}

// waitTried waits until it was tried to open the store, for Timeout at most.
func (s *Store) waitTried(ctx context.Context) error {
	select {
	case <-s.tried:
		return nil
	default:
	}
	timer := time.NewTimer(s.options.Timeout)
	defer timer.Stop()
	select {
	case <-s.tried:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// One implements [stint.Store].
func (s *Store) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (a stint.Answer, m stint.Mark, err error) {
	lost, err := s.try(ctx, func(ctx context.Context, inner stint.Store) (err error) {
		a, m, err = inner.One(ctx, l, key, op)
		return err
	})
	switch {
	case lost:
		o, err := s.without(ctx, &stint.Claim{Limit: l, Key: key, Op: op}, err)
		return o.Answer, o.Mark, err
	case err != nil:
		return stint.Answer{}, 0, err
	}
	return a, m, nil
}

// All implements [stint.Store].
func (s *Store) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	lost, err := s.try(ctx, func(ctx context.Context, inner stint.Store) error { return inner.All(ctx, claims, into) })
	if lost {
		return s.allWithout(ctx, claims, into, err)
	}
	return err
}

// Many implements [stint.Store]. Claims that failed by themselves are decided without the store, each by itself; the store counts
// as having failed if all of them did.
func (s *Store) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	lost, err := s.try(ctx, func(ctx context.Context, inner stint.Store) error {
		if err := inner.Many(ctx, claims, into); err != nil {
			return err
		}
		return allFailed(into)
	})
	if err != nil && !lost {
		return err
	}
	for i := range claims {
		cause := err
		if !lost {
			if cause = into[i].Err; answered(cause) {
				continue
			}
		}
		o, err := s.without(ctx, &claims[i], cause)
		o.Err = err
		into[i] = o
	}
	return nil
}

// allFailed is the error of outcomes that are all failures.
func allFailed(into []stint.Outcome) error {
	for i := range into {
		if answered(into[i].Err) {
			return nil
		}
	}
	if len(into) == 0 {
		return nil
	}
	return into[0].Err
}

// Refund implements [stint.Store].
func (s *Store) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (a stint.Answer, m stint.Mark, err error) {
	lost, err := s.try(ctx, func(ctx context.Context, inner stint.Store) (err error) {
		a, m, err = inner.Refund(ctx, l, key, op, nonce)
		return err
	})
	if lost {
		err = s.impossible(err)
	}
	if err != nil {
		return stint.Answer{}, 0, err
	}
	return a, m, nil
}

// Block implements [stint.Store].
func (s *Store) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	lost, err := s.try(ctx, func(ctx context.Context, inner stint.Store) error { return inner.Block(ctx, l, key, d) })
	if lost {
		err = s.impossible(err)
	}
	return err
}

// Close ends the wrapper's goroutine, charges once more what is owed if the store is there, and closes the store. A second Close
// returns what the first did.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	s.closed.Store(true)
	s.stop()
	s.keeper.Wait()
	if err := s.shutInner(); err != nil {
		return err
	}
	return s.shares.store.Close()
}

func (s *Store) shutInner() error {
	inner := s.inner.Load()
	if inner == nil {
		return nil
	}
	if s.breaker.whole() {
		_ = s.settle(context.Background(), *inner) // Stats.Owed says what is left
	}
	return (*inner).Close()
}
