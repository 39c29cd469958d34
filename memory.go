package stint

import (
	"context"
	"sync"
	"time"
)

// MemoryOptions are the options of a memory store. The zero value is ready to use.
type MemoryOptions struct {
	// MaxKeys bounds the keys kept. Default: 10 million.
	MaxKeys int64

	// Clock replaces the machine's clock, for tests: it returns the instant in ticks. Default: the wall clock read once, and
	// monotonic time since.
	Clock func() int64
}

// Memory keeps the counts in the process. It is being rebuilt: this form is only a map behind a mutex.
type Memory struct {
	mu    sync.Mutex
	clock func() int64
	keys  map[memoryKey]State
	block map[memoryKey]int64
	used  map[uint64]bool
}

type memoryKey struct {
	variant uint64
	id, key string
}

// NewMemory makes a memory store.
func NewMemory(o MemoryOptions) (*Memory, error) {
	clock := o.Clock
	if clock == nil {
		base := time.Now()
		start := base.UnixMicro()
		clock = func() int64 { return start + int64(time.Since(base)/Tick) }
	}
	return &Memory{clock: clock, keys: map[memoryKey]State{}, block: map[memoryKey]int64{}, used: map[uint64]bool{}}, nil
}

func (m *Memory) apply(l *Limit, key string, op Op) (memoryKey, State, Answer, Mark) {
	k := memoryKey{l.variant, l.ID, key}
	now := m.clock()
	s := m.keys[k]
	if l.words > 3 && (s.Log == nil || len(s.Log.Pairs) < l.words) {
		grown := &Cells{Pairs: make([]Pair, l.words)}
		s.Log = grown
	}
	n, a := l.Strategy.Apply(s, l, now, op)
	mark := NewMark(now)
	if until := m.block[k]; until > now && op.Max >= 0 {
		return k, s, Answer{Wait: until - now, Reset: a.Reset}, mark.Blocked()
	}
	return k, n, a, mark
}

// One implements [Store].
func (m *Memory) One(_ context.Context, l *Limit, key string, op Op) (Answer, Mark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, n, a, mark := m.apply(l, key, op)
	m.keys[k] = n
	return a, mark, nil
}

// All implements [Store].
func (m *Memory) All(_ context.Context, claims []Claim, into []Outcome) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ok := true
	states := make([]State, len(claims))
	keys := make([]memoryKey, len(claims))
	for i, c := range claims {
		into[i] = Outcome{}
		keys[i], states[i], into[i].Answer, into[i].Mark = m.apply(c.Limit, c.Key, c.Op)
		ok = ok && into[i].Granted >= c.Op.Min
	}
	for i := range claims {
		if ok && claims[i].Op.Max > 0 {
			m.keys[keys[i]] = states[i]
		}
	}
	return nil
}

// Many implements [Store].
func (m *Memory) Many(ctx context.Context, claims []Claim, into []Outcome) error {
	for i, c := range claims {
		into[i].Answer, into[i].Mark, into[i].Err = m.One(ctx, c.Limit, c.Key, c.Op)
	}
	return nil
}

// Refund implements [Store].
func (m *Memory) Refund(ctx context.Context, l *Limit, key string, op Op, nonce uint64) (Answer, Mark, error) {
	m.mu.Lock()
	seen := m.used[nonce]
	m.used[nonce] = true
	m.mu.Unlock()
	if seen {
		return Answer{}, 0, ErrReceiptUsed
	}
	return m.One(ctx, l, key, op)
}

// Block implements [Store].
func (m *Memory) Block(_ context.Context, l *Limit, key string, d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.block[memoryKey{l.variant, l.ID, key}] = m.clock() + ticksUp(d)
	return nil
}

// Close implements [Store].
func (m *Memory) Close() error { return nil }
