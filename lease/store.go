package lease

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
)

// Store takes blocks of units from the store around which it is, and spends them in memory. It is safe for concurrent use. Make
// one with [New] and give it to [stint.NewWith].
//
// A call that a lease serves takes some tens of nanoseconds and allocates nothing; any other costs what it costs in the store.
type Store struct {
	inner   stint.Store
	options Options
	base    time.Time
	leases  index
	porch   porch
	counts  counts
	returns returns
	chunks  sync.Pool
	blocks  atomic.Pointer[map[string]int64] // by the limit's ID; nil: all are leased
	ahead   atomic.Int64                     // trips under way that no caller waits for

	work   sync.WaitGroup // goroutines
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	closed atomic.Bool   // set under mu
	stop   chan struct{} // closed with it
	close  func() error
}

var _ stint.Store = (*Store)(nil)

// New makes a store of leases around the inner one, which it owns: Close closes both. It fails when the options conflict.
func New(inner stint.Store, o Options) (*Store, error) {
	if inner == nil {
		return nil, ErrNoStore
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{inner: inner, options: o, base: time.Now(), porch: newPorch(o.MaxKeys), stop: make(chan struct{})}
	s.leases.init(o.MaxKeys)
	if o.Blocks != nil {
		s.blocks.Store(&o.Blocks)
	}
	s.chunks.New = func() any { return new(chunk) }
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.close = sync.OnceValue(s.shut)
	return s, nil
}

// SetBlocks changes which limits are leased, and how much of a key is held, from the next calls on. What is held of a limit that is leased
// no more is spent, or given back, within Life. The store must have been made with Blocks.
func (s *Store) SetBlocks(blocks map[string]int64) error {
	if s.blocks.Load() == nil {
		return ErrNoBlocks
	}
	if err := checkBlocks(blocks); err != nil {
		return err
	}
	own := maps.Clone(blocks)
	s.blocks.Store(&own)
	return nil
}

// most is how many units of a key of the limit the process holds at most; 0 if it is not leased.
func (s *Store) most(l *stint.Limit) int64 {
	if blocks := s.blocks.Load(); blocks != nil {
		return (*blocks)[l.ID]
	}
	return s.options.MaxBlock
}

// One implements [stint.Store]. Takes and looks are served from the key's lease where it holds enough; everything else is the
// store's. What comes between a lease and its store ends the lease at once: a block and a reset.
func (s *Store) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	if op.Max > 0 && op.Wait < stint.Forever || op.Max == 0 {
		n := op.Max
		if n == 0 {
			n = op.Min
		}
		h := s.leases.hash(l.ID, key)
		r := s.leases.find(h, l.ID, key)
		if r != nil {
			now := s.now()
			if op.Max == 0 {
				if a, m, ok := r.look(l, n, now); ok {
					return a, m, nil
				}
			} else if b, left := r.spend(l, n, now); b != nil {
				if left < b.low && !b.warned.Load() {
					s.refillAhead(r, b)
				}
				return b.answer(n, left+r.beside.Load(), now), b.mark, nil
			}
		}
		if op.Max > 0 && op.Wait == 0 {
			return s.take(ctx, l, key, op, h)
		}
	}
	return s.direct(ctx, l, key, op)
}

// direct asks the store, for everything but takes that may lead to a lease.
func (s *Store) direct(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	if err := s.check(l); err != nil {
		return stint.Answer{}, 0, err
	}
	if op.Kind() == stint.Clear {
		s.end(l, key)
		defer s.end(l, key)
	}
	a, m, err := s.inner.One(ctx, l, key, op)
	if err == nil {
		s.tell(l, key, &a, m)
	}
	return a, m, err
}

// tell notes what the store answered in the key's lease, if it has one, and adds to what remains what the lease holds.
func (s *Store) tell(l *stint.Limit, key string, a *stint.Answer, m stint.Mark) {
	r := s.leases.find(s.leases.hash(l.ID, key), l.ID, key)
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := s.now()
	s.learn(r, *a, m, now)
	a.Remaining = min(a.Remaining+r.holds(now), l.Capacity())
}

// learn notes in a lease what the store answered. One whose key is blocked ends. Its mutex is held.
func (s *Store) learn(r *lease, a stint.Answer, m stint.Mark, now int64) {
	r.learn(a, m, now)
	if blocked(m) {
		s.empty(r, now)
	}
}

// check is what every call that the leases do not serve begins with.
func (s *Store) check(l *stint.Limit) error {
	if s.closed.Load() {
		return stint.ErrClosed
	}
	return s.refusal(l)
}

// end ends the key's lease.
func (s *Store) end(l *stint.Limit, key string) {
	r := s.leases.find(s.leases.hash(l.ID, key), l.ID, key)
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.empty(r, s.now())
}

// empty gives back all that a lease holds. Its mutex is held.
func (s *Store) empty(r *lease, now int64) {
	for _, b := range r.clear(now) {
		s.giveBack(r, b, now)
	}
}

// Refund implements [stint.Store]. What was spent from a lease has the receipt of the block's charge, so the store knows what it
// is worth.
func (s *Store) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	if err := s.check(l); err != nil {
		return stint.Answer{}, 0, err
	}
	a, m, err := s.inner.Refund(ctx, l, key, op, nonce)
	if err == nil {
		s.tell(l, key, &a, m)
	}
	return a, m, err
}

// Block implements [stint.Store]. It ends the key's lease here at once; in other processes that hold one the block takes effect
// when their leases end, within Life.
func (s *Store) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	if err := s.check(l); err != nil {
		return err
	}
	s.end(l, key)
	defer s.end(l, key) // what was asked meanwhile may have been charged before the block
	return s.inner.Block(ctx, l, key, d)
}

// start runs f in a goroutine of the store's own, unless the store is closed.
func (s *Store) start(f func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return false
	}
	s.work.Go(func() { f(s.ctx) })
	return true
}
