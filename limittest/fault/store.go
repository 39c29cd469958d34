package fault

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stint-go/stint"
)

// Method is a method of a store.
type Method string

// The methods that can fail.
const (
	One    Method = "One"
	All    Method = "All"
	Many   Method = "Many"
	Refund Method = "Refund"
	Block  Method = "Block"
)

// Call is one call of the store.
type Call struct {
	Method   Method
	Claims   []stint.Claim // what was claimed; Block has the key it blocks, and no operation
	Context  context.Context
	Deadline time.Time // of the context; zero if it has none
}

// Store passes calls on to an inner store, unless they are told to fail. It is safe for concurrent use.
type Store struct {
	inner stint.Store

	mu     sync.Mutex
	next   []Fault
	always func(Call) Fault
	calls  []Call
	most   int
	now    int
}

// New makes a store that passes everything on until it is told otherwise. It owns the inner store.
func New(inner stint.Store) *Store { return &Store{inner: inner} }

// Next gives the next calls their faults, one each in the order in which they begin. They come before those of Always.
func (s *Store) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, faults...)
}

// Always asks f for the fault of each call from now on, from the call's own goroutine; nil ends it.
func (s *Store) Always(f func(Call) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = f
}

// Down fails every call at once with the error, before it takes effect, from now on; nil ends it.
func (s *Store) Down(err error) {
	if err == nil {
		s.Always(nil)
	} else {
		s.Always(func(Call) Fault { return Fault{Error: err} })
	}
}

// Calls are the calls until now, in the order in which they began.
func (s *Store) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Most is how many calls there were under way at once at most.
func (s *Store) Most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// begin notes a call and takes its fault.
func (s *Store) begin(ctx context.Context, m Method, claims ...stint.Claim) Fault {
	deadline, _ := ctx.Deadline()
	c := Call{m, slices.Clone(claims), ctx, deadline}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.now++
	s.most = max(s.most, s.now)
	always := s.always
	if len(s.next) > 0 {
		f := s.next[0]
		s.next = s.next[1:]
		s.mu.Unlock()
		return f
	}
	s.mu.Unlock()
	if always != nil {
		return always(c)
	}
	return Fault{}
}

func (s *Store) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
}

// do makes a call with its fault.
func (s *Store) do(ctx context.Context, f Fault, into []stint.Outcome, call func() error) error {
	defer s.end()
	if err := f.before(ctx); err != nil {
		return err
	}
	if f.Mute {
		return nil
	}
	if err := call(); err != nil {
		return err
	}
	if f.Garble != nil && into != nil {
		f.Garble(into)
	}
	return f.after(ctx)
}

// One implements [stint.Store].
func (s *Store) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	f := s.begin(ctx, One, stint.Claim{Limit: l, Key: key, Op: op})
	var into [1]stint.Outcome
	err := s.do(ctx, f, into[:], func() (err error) {
		into[0].Answer, into[0].Mark, err = s.inner.One(ctx, l, key, op)
		return err
	})
	if err != nil {
		return stint.Answer{}, 0, err
	}
	return into[0].Answer, into[0].Mark, into[0].Err
}

// All implements [stint.Store].
func (s *Store) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	return s.do(ctx, s.begin(ctx, All, claims...), into, func() error { return s.inner.All(ctx, claims, into) })
}

// AllInTurn implements [stint.CallStore], as so many calls of All by the inner store that share one fate.
func (s *Store) AllInTurn(ctx context.Context, claims []stint.Claim, ends []int, into []stint.Outcome) error {
	return s.do(ctx, s.begin(ctx, All, claims...), into, func() error {
		first := 0
		for _, end := range ends {
			if err := s.inner.All(ctx, claims[first:end], into[first:end]); err != nil {
				return err
			}
			first = end
		}
		return nil
	})
}

// Many implements [stint.Store].
func (s *Store) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	return s.do(ctx, s.begin(ctx, Many, claims...), into, func() error { return s.inner.Many(ctx, claims, into) })
}

// Refund implements [stint.Store].
func (s *Store) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (a stint.Answer, m stint.Mark, err error) {
	f := s.begin(ctx, Refund, stint.Claim{Limit: l, Key: key, Op: op})
	failed := s.do(ctx, f, nil, func() error {
		a, m, err = s.inner.Refund(ctx, l, key, op, nonce)
		return err
	})
	if failed != nil {
		return stint.Answer{}, 0, failed
	}
	return a, m, nil
}

// Block implements [stint.Store].
func (s *Store) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	f := s.begin(ctx, Block, stint.Claim{Limit: l, Key: key})
	return s.do(ctx, f, nil, func() error { return s.inner.Block(ctx, l, key, d) })
}

// Close closes the inner store. It never fails by itself.
func (s *Store) Close() error { return s.inner.Close() }
