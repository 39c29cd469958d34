package limittest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
)

// tiny is a whole store of one's own: a map, a mutex, and the strategies as they are. A real one forgets, too: keys whose state
// is Forgettable, and notes of receipts that are worth nothing any more.
type tiny struct {
	now func() int64 // the store's clock, in ticks since the Unix epoch

	mu     sync.Mutex
	closed bool
	keys   map[tinyKey]*tinyRecord
	used   map[uint64]bool // receipts that were given back, by their nonce
}

type tinyKey struct{ limit, key string }

type tinyRecord struct {
	limit   *stint.Limit // whose values the state was written under
	state   stint.State
	blocked int64 // until
	reset   int64 // when the key was last made new by hand
}

func newTiny(now func() int64) *tiny {
	return &tiny{now: now, keys: map[tinyKey]*tinyRecord{}, used: map[uint64]bool{}}
}

// One is a look at the clock, the strategy, and a note of what it says.
func (s *tiny) One(_ context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return stint.Answer{}, 0, stint.ErrClosed
	}
	a, mark := s.do(l, key, op, s.now())
	return a, mark, nil
}

// do does the operation at an instant.
func (s *tiny) do(l *stint.Limit, key string, op stint.Op, now int64) (stint.Answer, stint.Mark) {
	r, mark := s.record(l, key, now), stint.NewMark(now)
	asks := op.Max >= 0 && op.Kind() != stint.Charge
	if asks && r.blocked > now {
		_, a := l.Strategy.Apply(r.state, l, now, stint.LookOp(op.Min))
		if a.Wait < stint.Forever {
			a.Wait = max(a.Wait, r.blocked-now)
		}
		a.Remaining, a.Reset = 0, max(a.Reset, a.Wait)
		return a, mark.Blocked()
	}
	if op.Kind() == stint.Clear {
		r.reset = now
	}
	var a stint.Answer
	r.state, a = l.Strategy.Apply(l.Lend(r.state, op), l, now, op)
	return a, mark
}

// record is the key's record under the limit's values, carried over from others where it has to be.
func (s *tiny) record(l *stint.Limit, key string, now int64) *tinyRecord {
	k := tinyKey{l.ID, key}
	r := s.keys[k]
	if r == nil {
		r = &tinyRecord{limit: l}
		s.keys[k] = r
	}
	if from := r.limit; from.Units != l.Units || from.Per != l.Per || from.Capacity() != l.Capacity() || from.Strategy != l.Strategy {
		r.state, r.limit = l.CarryFrom(from, r.state, now), l
	}
	return r
}

// All asks every claim what it would get, and takes only if all get it.
func (s *tiny) All(_ context.Context, claims []stint.Claim, into []stint.Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return stint.ErrClosed
	}
	now, granted, times := s.now(), true, stint.Forever
	for i, c := range claims {
		if c.Op.Max < 0 {
			continue // what gives back is never refused
		}
		o := &into[i]
		o.Answer, o.Mark = s.do(c.Limit, c.Key, stint.LookOp(c.Op.Min), now)
		passes := o.Wait <= c.Op.Wait
		granted = granted && passes
		if passes && c.Op.Max > 0 {
			o.Granted = c.Op.Min // it would have been granted alone
		}
		if c.Op.Max > c.Op.Min {
			r := s.record(c.Limit, c.Key, now)
			_, most := c.Limit.Strategy.Apply(c.Limit.Lend(r.state, c.Op), c.Limit, now, c.Op)
			times = min(times, most.Granted/c.Op.Min)
		}
	}
	if !granted {
		return nil
	}
	for i, c := range claims {
		if c.Op.Max > c.Op.Min && c.Op.Max > 0 {
			c.Op = stint.TakeOp(c.Op.Min * times)
		}
		into[i].Answer, into[i].Mark = s.do(c.Limit, c.Key, c.Op, now)
	}
	return nil
}

// Many is One for each.
func (s *tiny) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	for i, c := range claims {
		into[i].Answer, into[i].Mark, into[i].Err = s.One(ctx, c.Limit, c.Key, c.Op)
	}
	return nil
}

// Refund gives back once, and nothing of what was taken before the key's last reset.
func (s *tiny) Refund(_ context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	switch {
	case s.closed:
		return stint.Answer{}, 0, stint.ErrClosed
	case nonce != 0 && s.used[nonce]:
		return stint.Answer{}, 0, stint.ErrReceiptUsed
	case op.Wait <= s.record(l, key, now).reset || op.Wait > now:
		return stint.Answer{}, stint.NewMark(now), nil
	}
	s.used[nonce] = true
	a, mark := s.do(l, key, op, now)
	return a, mark, nil
}

// Block notes until when.
func (s *tiny) Block(_ context.Context, l *stint.Limit, key string, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return stint.ErrClosed
	}
	now := s.now()
	s.record(l, key, now).blocked = now + int64((d+stint.Tick-1)/stint.Tick)
	return nil
}

// Close makes later calls fail.
func (s *tiny) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Holding a store of one's own to the laws.
func ExampleStore() {
	testStore := func(t *testing.T) {
		limittest.Store(t, func(_ testing.TB, clock *limittest.Clock) stint.Store { return newTiny(clock.Now) })
	}
	_ = testStore // in a real test file: func TestTiny(t *testing.T)
	// Output:
}

// Holding a slow store on a clock of its own to the same laws, with fewer calls.
func ExampleStoreWith() {
	testStore := func(t *testing.T) {
		limittest.StoreWith(t, limittest.StoreOptions{RealClock: true, Checks: 5, Rounds: 5},
			func(testing.TB, *limittest.Clock) stint.Store {
				return newTiny(func() int64 { return time.Now().UnixMicro() })
			})
	}
	_ = testStore // in a real test file: func TestTiny(t *testing.T)
	// Output:
}

func TestTiny(t *testing.T) {
	limittest.Store(t, func(_ testing.TB, clock *limittest.Clock) stint.Store { return newTiny(clock.Now) })
}

func TestTinyOnItsOwnClock(t *testing.T) {
	open := func(testing.TB, *limittest.Clock) stint.Store {
		return newTiny(func() int64 { return time.Now().UnixMicro() })
	}
	limittest.StoreWith(t, limittest.StoreOptions{RealClock: true, Checks: 5, Rounds: 5}, open)
}
