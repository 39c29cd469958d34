package stint

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Limiter holds the calls of each key to one or more limits. All methods are safe for concurrent use.
//
// Most programs need one method, [Limiter.Allow]: it says yes or no. [Limiter.Take] also says why, what is left and when to
// come back; [Limiter.Wait] comes back by itself; [Limiter.Reserve] is for a cost that is known only afterwards. The others
// are variations: N units, up to N, many calls at once, a look without a charge, and what an operator does by hand (Credit,
// Block, Reset).
//
// With several limits a call takes from all of them or from none.
//
// A cost is 0 or more units; a negative one is an error and the empty key is, too. A cost of 0 changes nothing and is allowed
// while at least one unit is left. An error is never a denial: Allow, which cannot return one, says no.
type Limiter struct {
	store     Store
	own       *Memory // the store, if the limiter made it
	observers []Observer
	limits    atomic.Pointer[[]*Limit]
	plain     atomic.Pointer[plain] // nil if calls need more
	queue     queue
	scratch   sync.Pool
}

// Options are what a limiter can be given besides its limits. The zero value is ready to use.
type Options struct {
	// Store is where the counts live. Default: a memory store of the limiter's own with default options, closed by
	// [Limiter.Close]. A store given here stays open, and several limiters can share it.
	Store Store

	// Observers are told of every decision.
	Observers []Observer

	// MaxWait bounds how far ahead Wait books units of a token bucket or of pacing for the first in a queue, so that other
	// processes cannot starve it. Default: one minute. It does not bound the wait itself, which the context does.
	MaxWait time.Duration

	// MaxWaiters bounds how many callers may wait for one key, MaxWaitersTotal for all keys. One more gets ErrQueueFull.
	// Defaults: 1,024 and 65,536.
	MaxWaiters, MaxWaitersTotal int
}

// New makes a limiter on a memory store of its own. Its limits are checked here, once.
func New(limits ...Limit) (*Limiter, error) { return NewWith(Options{}, limits...) }

// NewWith makes a limiter with options. Without limits it serves only calls that bring their own, see [Limiter.TakeAll].
func NewWith(o Options, limits ...Limit) (*Limiter, error) {
	l := &Limiter{store: o.Store, observers: o.Observers}
	if err := o.validate(); err != nil {
		return nil, err
	}
	l.queue.perKey, l.queue.total, l.queue.ahead = o.MaxWaiters, o.MaxWaitersTotal, o.MaxWait
	l.scratch.New = func() any { return new(scratch) }
	if l.store == nil {
		memory, err := NewMemory(MemoryOptions{})
		if err != nil {
			return nil, err
		}
		l.store, l.own = memory, memory
	}
	if err := l.SetLimits(limits...); err != nil {
		return nil, err
	}
	return l, nil
}

func (o *Options) validate() error {
	if o.MaxWaiters < 0 || o.MaxWaitersTotal < 0 || o.MaxWait < 0 {
		return fmt.Errorf("stint: options: a bound is negative (MaxWaiters %d, MaxWaitersTotal %d, MaxWait %v)", o.MaxWaiters, o.MaxWaitersTotal, o.MaxWait)
	}
	if o.MaxWaiters == 0 {
		o.MaxWaiters = 1024
	}
	if o.MaxWaitersTotal == 0 {
		o.MaxWaitersTotal = 65536
	}
	if o.MaxWait == 0 {
		o.MaxWait = time.Minute
	}
	return nil
}

// Close closes the store if the limiter made it.
func (l *Limiter) Close() error {
	if l.own == nil {
		return nil
	}
	return l.own.Close()
}

// Limits are the limits now in force, compiled.
func (l *Limiter) Limits() []*Limit { return *l.limits.Load() }

// SetLimits changes the limits while calls go on. Counts belong to a limit's ID: under the same ID each key carries over
// what the new limit's OnChange says, at its first call; a new ID starts with new keys. Give the ID yourself ([Limit.WithID])
// where the default, the limit's text, would change with the values.
func (l *Limiter) SetLimits(limits ...Limit) error {
	compiled := make([]*Limit, len(limits))
	for i, limit := range limits {
		c, err := limit.Compile()
		if err != nil {
			return err
		}
		for _, other := range compiled[:i] {
			if other.ID == c.ID {
				return c.errorf("is given twice; one call cannot charge the same count for two limits")
			}
		}
		compiled[i] = c
	}
	l.limits.Store(&compiled)
	l.plain.Store(l.simplified(compiled))
	return nil
}

// plain is what most limiters are: one limit on a memory store, and nobody watches. Yes or no takes a short way then.
type plain struct {
	memory *Memory
	limit  *Limit
}

// simplified is the limiter as a plain one, or nil.
func (l *Limiter) simplified(limits []*Limit) *plain {
	m, ok := l.store.(*Memory)
	if !ok || len(limits) != 1 || l.observers != nil {
		return nil
	}
	return &plain{m, limits[0]}
}

// scratch is a call's working memory, kept for the next one.
type scratch struct {
	claims    []Claim
	outcomes  []Outcome
	decisions []Decision
	unasked   []Decision
}

func (s *scratch) reset(n int) {
	if cap(s.claims) < n {
		s.claims, s.outcomes = make([]Claim, 0, n), make([]Outcome, n)
		s.decisions = make([]Decision, n)
	}
	s.claims, s.outcomes, s.decisions = s.claims[:0], s.outcomes[:n], s.decisions[:n]
}

// shadows is a place for n decisions that nobody asked for.
func (s *scratch) shadows(n int) []Decision {
	if cap(s.unasked) < n {
		s.unasked = make([]Decision, n)
	}
	return s.unasked[:n]
}

// Allow says whether one unit of the key is granted, and takes it.
func (l *Limiter) Allow(key string) bool { return l.AllowN(key, 1) }

// AllowN says whether n units of the key are granted, and takes them: all n or none.
func (l *Limiter) AllowN(key string, n int64) bool {
	if p := l.plain.Load(); p != nil && n > 0 && key != "" && l.queue.idle() {
		return p.memory.allow(p.limit, key, n)
	}
	if n > 0 && key != "" && l.queue.idle() {
		if granted, asked := l.allowAll(key, n); asked {
			return granted
		}
	}
	d, err := l.Take(context.Background(), key, n)
	return err == nil && d.Allowed
}

// Instant is a moment of a store's clock, in ticks since the Unix epoch.
type Instant int64

// Now is the instant of the limiter's memory store, to be used for a few calls of AllowAt; 0 if the store is another.
func (l *Limiter) Now() Instant {
	if m, ok := l.store.(*Memory); ok {
		return m.Now()
	}
	return 0
}

// AllowAt is AllowN at an instant that the caller has read from Now a moment before, which saves the reading of the clock: the
// larger part of a decision. An instant that is more than some ten milliseconds old, or of the future, is not used, and the clock
// is read. On stores other than the memory store it is AllowN.
func (l *Limiter) AllowAt(key string, n int64, at Instant) bool {
	if p := l.plain.Load(); p != nil && n > 0 && key != "" && l.queue.idle() {
		return p.memory.allowAt(p.limit, key, n, int64(at))
	}
	return l.AllowN(key, n)
}

// Take takes n units of the key, all or none, and says how it went.
func (l *Limiter) Take(ctx context.Context, key string, n int64) (d Decision, err error) {
	op := TakeOp(n)
	if n == 0 {
		op = LookOp(1)
	}
	err = l.do(ctx, key, op, n, &d)
	return d, err
}

// TakeUpTo takes as many of n units as are free. A decision that is allowed says in Granted how many, at least one.
func (l *Limiter) TakeUpTo(ctx context.Context, key string, n int64) (d Decision, err error) {
	op := UpToOp(n)
	if n == 0 {
		op = LookOp(1)
	}
	err = l.do(ctx, key, op, n, &d)
	return d, err
}

// Peek says what Take of n units would, and changes nothing.
func (l *Limiter) Peek(ctx context.Context, key string, n int64) (d Decision, err error) {
	err = l.do(ctx, key, LookOp(max(n, 1)), n, &d)
	return d, err
}

// do is one operation on the key under every limit. Inside the package decisions are filled in where they are wanted, since to
// copy one costs as much as to make it.
func (l *Limiter) do(ctx context.Context, key string, op Op, cost int64, into *Decision) error {
	if err := check(key, cost); err != nil {
		return l.failed(ctx, key, cost, err)
	}
	if !l.queue.idle() && op.Max > 0 && l.queue.waits(key) {
		return l.behindWaiters(ctx, key, cost, into)
	}
	limits := *l.limits.Load()
	if len(limits) == 1 {
		return l.doOne(ctx, limits[0], key, op, cost, into)
	}
	if len(limits) == 0 {
		return ErrNoLimit
	}
	s := l.scratch.Get().(*scratch)
	defer l.scratch.Put(s)
	s.reset(len(limits))
	for _, limit := range limits {
		s.claims = append(s.claims, Claim{Limit: limit, Key: key, Op: op})
	}
	strictest, err := l.doAll(ctx, s.claims, s.outcomes, s.decisions)
	if err == nil {
		*into = s.decisions[strictest]
	}
	return err
}

func (l *Limiter) doOne(ctx context.Context, limit *Limit, key string, op Op, cost int64, into *Decision) error {
	a, m, err := l.store.One(ctx, limit, key, op)
	if err != nil {
		return l.failed(ctx, key, cost, err)
	}
	into.fill(limit, key, op, a, m, rand.Uint64())
	if l.observers != nil {
		l.observe(ctx, key, cost, *into, nil)
	}
	return nil
}

// failed tells the observers of an error and returns it.
func (l *Limiter) failed(ctx context.Context, key string, cost int64, err error) error {
	if l.observers != nil {
		l.observe(ctx, key, cost, Decision{}, err)
	}
	return err
}

// observe takes the decision by value, so that only calls with observers pay for one that outlives them.
func (l *Limiter) observe(ctx context.Context, key string, cost int64, d Decision, err error) {
	for _, o := range l.observers {
		o.Decided(ctx, key, cost, &d, err)
	}
}

func check(key string, cost int64) error {
	if cost < 0 {
		return ErrNegativeCost
	}
	if key == "" {
		return ErrEmptyKey
	}
	return nil
}
