package batch

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
)

// Store merges the calls of an inner store. It is safe for concurrent use.
type Store struct {
	inner   stint.Store
	turns   stint.CallStore // the inner store, if it is one
	options Options
	seed    maphash.Seed
	shards  []*shard
	waiters sync.Pool
	closed  atomic.Bool
	runners sync.WaitGroup
	close   func() error
}

// New makes a store around the inner one, which it owns: Close closes both.
func New(inner stint.Store, o Options) (*Store, error) {
	if inner == nil {
		return nil, ErrNoStore
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{inner: inner, options: o, seed: maphash.MakeSeed(), shards: make([]*shard, o.Shards)}
	s.turns, _ = inner.(stint.CallStore)
	for i := range s.shards {
		s.shards[i] = &shard{store: s}
	}
	s.waiters.New = func() any { return &waiter{done: make(chan struct{}, 1)} }
	s.close = sync.OnceValue(s.shut)
	return s, nil
}

// One implements [stint.Store]. It goes straight through where nobody else is under way, and is merged with others else.
func (s *Store) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	if err := ctx.Err(); err != nil {
		return stint.Answer{}, 0, err
	}
	sh := s.shards[maphash.String(s.seed, key)%uint64(len(s.shards))]
	lone, w, err := sh.enter(ctx, stint.Claim{Limit: l, Key: key, Op: op}, nil, nil)
	switch {
	case err != nil:
		return stint.Answer{}, 0, err
	case w != nil:
		o, err := sh.wait(w)
		return o.Answer, o.Mark, err
	}
	var a stint.Answer
	var m stint.Mark
	err = sh.direct(lone, func() (err error) {
		a, m, err = s.inner.One(ctx, l, key, op)
		return err
	})
	if err != nil {
		return stint.Answer{}, 0, err
	}
	return a, m, nil
}

// All implements [stint.Store]. Where the inner store is a [stint.CallStore] it is merged with others like One, else it passes
// straight on.
func (s *Store) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	if s.turns == nil || len(claims) == 0 || len(claims) > s.options.MaxBatch {
		if s.closed.Load() {
			return stint.ErrClosed
		}
		return s.inner.All(ctx, claims, into)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	sh := s.shards[maphash.String(s.seed, claims[0].Key)%uint64(len(s.shards))]
	lone, w, err := sh.enter(ctx, stint.Claim{}, claims, into)
	switch {
	case err != nil:
		return err
	case w != nil:
		_, err := sh.wait(w)
		return err
	}
	return sh.direct(lone, func() error { return s.inner.All(ctx, claims, into) })
}

// Many implements [stint.Store]. It passes straight on.
func (s *Store) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	if s.closed.Load() {
		return stint.ErrClosed
	}
	return s.inner.Many(ctx, claims, into)
}

// Refund implements [stint.Store]. It passes straight on.
func (s *Store) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	if s.closed.Load() {
		return stint.Answer{}, 0, stint.ErrClosed
	}
	return s.inner.Refund(ctx, l, key, op, nonce)
}

// Block implements [stint.Store]. It passes straight on.
func (s *Store) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	if s.closed.Load() {
		return stint.ErrClosed
	}
	return s.inner.Block(ctx, l, key, d)
}

// Close turns away whoever stands in line with [stint.ErrClosed], charging nothing, waits for the calls of One and All that are
// under way, at most Options.Timeout, and closes the inner store. A second Close returns what the first did.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	s.closed.Store(true)
	for _, sh := range s.shards {
		sh.shut()
	}
	s.runners.Wait()
	return s.inner.Close()
}
