package deny

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
)

// Store remembers the refusals of an inner store. It is safe for concurrent use.
type Store struct {
	inner   stint.Store
	options Options
	base    time.Time
	keys    maphash.Seed
	ids     maphash.Seed
	table   table
	rest    sync.Pool // of *rest

	spared, remembered, dropped atomic.Int64
}

// New makes a store around the inner one, which it owns: Close closes it.
func New(inner stint.Store, o Options) (*Store, error) {
	if inner == nil {
		return nil, ErrNoStore
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{inner: inner, options: o, base: time.Now(), keys: maphash.MakeSeed(), ids: maphash.MakeSeed()}
	s.table.init(o.MaxKeys)
	s.rest.New = func() any { return new(rest) }
	return s, nil
}

// now is the instant in nanoseconds.
func (s *Store) now() int64 {
	if s.options.Clock != nil {
		return s.options.Clock() * int64(stint.Tick)
	}
	return int64(time.Since(s.base))
}

// hash is that of the key under the limit's id, whatever the limit's values.
func (s *Store) hash(l *stint.Limit, key string) uint64 {
	return maphash.String(s.keys, key) ^ maphash.String(s.ids, l.ID)
}

// takes says whether an operation is one whose refusal is remembered.
func takes(op stint.Op) bool { return op.Max > 0 && op.Wait == 0 }

// frees says whether an operation may give its key room, or change it otherwise than by taking.
func frees(op stint.Op) bool {
	kind := op.Kind()
	return kind != stint.Look && kind != stint.Grant
}

// One implements [stint.Store].
func (s *Store) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	if op.Kind() == stint.Look {
		return s.inner.One(ctx, l, key, op)
	}
	h := s.hash(l, key)
	if frees(op) {
		defer s.changing(h).end()
		return s.inner.One(ctx, l, key, op)
	}
	if takes(op) {
		if e := s.table.find(l, h); e != nil && e.refuses(op) {
			if now := s.now(); e.live(now) {
				s.spared.Add(1)
				a, m := e.refusal(op, now)
				return a, m, nil
			}
		}
	}
	age := s.table.cell(h).age()
	a, m, err := s.inner.One(ctx, l, key, op)
	s.learn(l, h, age, op, stint.Outcome{Answer: a, Mark: m, Err: err})
	return a, m, err
}

// changing begins an operation that may give the key room. What is remembered of it is dropped, until the end and at the end.
func (s *Store) changing(h uint64) *cell {
	s.dropped.Add(1)
	c := s.table.cell(h)
	c.begin()
	return c
}

// learn remembers a refused take by itself, and drops the memory of a key of which was taken, or may have been.
func (s *Store) learn(l *stint.Limit, h uint64, age age, op stint.Op, o stint.Outcome) {
	switch {
	case op.Kind() == stint.Look:
	case o.Err != nil || o.Granted >= op.Min:
		s.dropped.Add(1)
		s.table.cell(h).drop()
	case takes(op):
		s.remember(l, h, age, op, o)
	}
}

// remember remembers a refusal, or that a take would have passed alone in a call that was refused.
func (s *Store) remember(l *stint.Limit, h uint64, age age, op stint.Op, o stint.Outcome) {
	if o.Mark == o.Mark.Degraded() || o.Mark == o.Mark.Unknown() || !age.settled() {
		return
	}
	now := s.now()
	e := &entry{limit: l, hash: h, age: age, at: now, least: op.Min, passes: o.Remaining, answer: o.Answer, mark: o.Mark}
	e.until = now + int64(min(s.options.TTL, time.Duration(min(o.Wait, int64(maxTTL/stint.Tick)))*stint.Tick))
	if o.Granted >= op.Min {
		e.least, e.passes, e.until = nothing, max(e.passes, op.Min), now+int64(s.options.TTL)
		if old := s.table.find(l, h); old != nil && old.age == age && old.live(now) && old.least < nothing {
			passes := max(e.passes, old.passes)
			*e = *old // it still refuses larger costs
			e.passes = passes
		}
	}
	s.table.put(e, now)
	s.remembered.Add(1)
}

// All implements [stint.Store].
func (s *Store) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	if s.recallAll(claims, into) {
		s.spared.Add(1)
		return nil
	}
	var few [4]age
	ages := few[:0]
	for i := range claims {
		h := s.hash(claims[i].Limit, claims[i].Key)
		if frees(claims[i].Op) {
			defer s.changing(h).end()
		}
		ages = append(ages, s.table.cell(h).age())
	}
	err := s.inner.All(ctx, claims, into)
	refused := false
	for i := range claims {
		refused = refused || err == nil && claims[i].Op.Max > 0 && into[i].Granted < claims[i].Op.Min
	}
	for i := range claims {
		c := &claims[i]
		switch h := s.hash(c.Limit, c.Key); {
		case refused && takes(c.Op):
			s.remember(c.Limit, h, ages[i], c.Op, into[i])
		case !refused && !frees(c.Op):
			s.learn(c.Limit, h, ages[i], c.Op, stint.Outcome{Answer: into[i].Answer, Err: err})
		}
	}
	return err
}

// recallAll refuses a call out of memory, if one of its claims is refused and of each other it is known that it would pass.
func (s *Store) recallAll(claims []stint.Claim, into []stint.Outcome) bool {
	refused, now := false, int64(-1)
	for i := range claims {
		c := &claims[i]
		if !takes(c.Op) {
			return false
		}
		e := s.table.find(c.Limit, s.hash(c.Limit, c.Key))
		if e == nil {
			return false
		}
		if now < 0 {
			now = s.now()
		}
		o := &into[i]
		*o = stint.Outcome{}
		switch {
		case !e.live(now):
			return false
		case e.refuses(c.Op):
			refused = true
			o.Answer, o.Mark = e.refusal(c.Op, now)
		case c.Op.Min <= e.passes:
			o.Answer, o.Mark = e.passing(c.Op, now)
		default:
			return false
		}
	}
	return refused
}

// Refund implements [stint.Store]. It drops what is remembered of the key.
func (s *Store) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	defer s.changing(s.hash(l, key)).end()
	return s.inner.Refund(ctx, l, key, op, nonce)
}

// Block implements [stint.Store]. It drops what is remembered of the key.
func (s *Store) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	defer s.changing(s.hash(l, key)).end()
	return s.inner.Block(ctx, l, key, d)
}

// Close closes the inner store.
func (s *Store) Close() error { return s.inner.Close() }
