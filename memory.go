package stint

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Memory keeps the counts in the process: the store of a single machine, and the default. A decision on a warm key takes some
// tens of nanoseconds, most of it the reading of the clock, and allocates nothing; a key of a one-word strategy takes about 30
// bytes, whatever its length. Memory follows the live keys up and down in small steps, without a goroutine and without a pause.
//
// Keys are known by a 63-bit keyed hash: the chance that any two of n live keys of a limit meet is n²/2^64 (10 million keys: 5
// in a million), and keys that meet share one count. ExactKeys rules it out.
//
// It is safe for concurrent use, by any number of limiters. Limits with the same ID share their counts.
type Memory struct {
	options MemoryOptions
	seed    seed
	base    time.Time
	start   int64        // the instant of base
	skew    atomic.Int64 // wall clock − store clock, for windows that are aligned to the wall
	due     atomic.Int64 // next housekeeping
	unusual atomic.Int64 // blocks in force, and whether the store is closed: what keeps calls from the short way

	used    atomic.Int64 // slots
	bytes   atomic.Int64
	evicted atomic.Int64
	refused atomic.Int64

	mu       sync.RWMutex
	families map[string]*family
	tables   atomic.Pointer[[]*table] // changed under mu

	sweep sync.Mutex // one housekeeper at a time
	turn  int        // next table to inspect
	notes notes

	saver  *saver
	saving sync.Mutex    // one snapshot at a time
	saved  []*savedTable // out of the snapshot, not claimed by a limit yet; under mu
}

// MemoryOptions are the options of a memory store. The zero value is ready to use.
type MemoryOptions struct {
	// MaxKeys bounds the keys that are kept, of all limits together. Default: 10 million. Each limit may keep its first few
	// hundred keys whatever the bound.
	MaxKeys int64

	// MaxBytes bounds the memory of the keys. Default: none but MaxKeys.
	MaxBytes int64

	// AtBound says what happens when a new key comes and no other can be forgotten. Default: Sketch.
	AtBound Bound

	// ExactKeys keeps the bytes of every key and compares them, for about 100 bytes a key and twice the time. Default: keys are
	// known by their hash.
	ExactKeys bool

	// SnapshotFile is where the counts are saved, so that a restart is not a free refill: read at the start, if it is there, and
	// written every SnapshotEvery and by Close. A damaged file is refused. Default: none.
	SnapshotFile string

	// SnapshotEvery is how often the snapshot is written. What was granted since the last one is forgotten when the process is
	// killed. Default: 10 seconds. Conflicts with no SnapshotFile.
	SnapshotEvery time.Duration

	// Clock replaces the machine's clock, for tests: it returns the instant in ticks since the Unix epoch, from any goroutine.
	// Default: the wall clock read once, and monotonic time since then.
	Clock func() int64
}

// Bound is what a memory store does with a new key at its bound.
type Bound uint8

// The choices at the bound.
const (
	// Sketch forgets the key nearest to full, but not what it has used: that goes into a sketch of fixed size, and a key that is
	// not found begins from the sketch's upper bound. No key is ever granted more than its limit, whatever flood of new keys
	// comes; a new one may be granted less, and its decisions say so (Decision.Approximate).
	Sketch Bound = iota
	// Refuse turns new keys away with ErrFull. A flood then locks newcomers out.
	Refuse
	// Evict forgets the key nearest to full for good: it can begin anew, which breaks the limit's promise under a flood.
	Evict
)

const (
	defaultMaxKeys       = 10_000_000
	defaultSnapshotEvery = 10 * time.Second
	closedFlag           = int64(1) << 62
	maxVariants          = 64
)

// NewMemory makes a memory store. It fails when the options conflict, the machine's clock is out of range, or there is a
// snapshot that cannot be read.
func NewMemory(o MemoryOptions) (*Memory, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	m := &Memory{options: o, seed: newSeed(), base: time.Now(), families: make(map[string]*family)}
	m.start = m.base.UnixMicro()
	m.tables.Store(&[]*table{})
	if now := m.now(); now < 0 || now > MaxInstant {
		return nil, ErrClock
	}
	if o.SnapshotFile != "" {
		if err := m.restore(o.SnapshotFile); err != nil {
			return nil, err
		}
		m.saver = startSaver(m)
	}
	return m, nil
}

func (o *MemoryOptions) validate() error {
	if o.MaxKeys < 0 || o.MaxBytes < 0 || o.SnapshotEvery < 0 {
		return fmt.Errorf("stint: memory options: a bound is negative (MaxKeys %d, MaxBytes %d, SnapshotEvery %v)", o.MaxKeys, o.MaxBytes, o.SnapshotEvery)
	}
	if o.SnapshotEvery > 0 && o.SnapshotFile == "" {
		return fmt.Errorf("stint: memory options: SnapshotEvery %v without a SnapshotFile", o.SnapshotEvery)
	}
	if o.AtBound > Evict {
		return fmt.Errorf("stint: memory options: unknown AtBound %d", o.AtBound)
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = defaultMaxKeys
	}
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = defaultSnapshotEvery
	}
	return nil
}

// Now is the store's instant, for [Limiter.AllowAt].
func (m *Memory) Now() Instant { return Instant(m.now()) }

// now is the store's instant.
func (m *Memory) now() int64 {
	if m.options.Clock != nil {
		return m.options.Clock()
	}
	return m.start + int64(time.Since(m.base))/int64(Tick)
}

// nowFor is the instant for a limit: the store's own, or the wall's where its windows are aligned to the wall. Every call
// begins with it, and does the housekeeping that is due.
func (m *Memory) nowFor(l *Limit) (int64, error) {
	now := m.now()
	if uint64(now) >= uint64(m.due.Load()) {
		if err := m.housekeep(now); err != nil {
			return 0, err
		}
	}
	if l.wall {
		now += m.skew.Load()
	}
	return now, nil
}

// One implements [Store].
func (m *Memory) One(_ context.Context, l *Limit, key string, op Op) (Answer, Mark, error) {
	t := (*table)(atomic.LoadPointer(&l.home))
	if t == nil || t.store != m || m.unusual.Load() != 0 || op.Max < 0 {
		return m.oneUnusual(l, key, op)
	}
	h := m.seed.hash(key)
	d := t.dir.Load()
	s := d.segment(h)
	// The key's line is asked for before the clock is read, since reading the clock waits for loads under way.
	prefetch(unsafe.Pointer(s.at(d.home(h))))
	now, err := m.nowFor(l)
	if err != nil {
		return Answer{}, 0, err
	}
	return m.at(t, d, s, h, l, key, op, now)
}

// oneAt is One at an instant that the caller has read from the store before.
func (m *Memory) oneAt(l *Limit, key string, op Op, now int64) (Answer, Mark, error) {
	t := (*table)(atomic.LoadPointer(&l.home))
	if t == nil || t.store != m || m.unusual.Load() != 0 || l.wall || uint64(now) >= uint64(m.due.Load()) {
		return m.oneUnusual(l, key, op)
	}
	h := m.seed.hash(key)
	d := t.dir.Load()
	return m.at(t, d, d.segment(h), h, l, key, op, now)
}

// at does one operation at the instant now: the short way for a key that is there, with one word that nobody holds.
func (m *Memory) at(t *table, d *directory, s *segment, h uint64, l *Limit, key string, op Op, now int64) (Answer, Mark, error) {
	if !t.records {
		for i, end := d.home(h), uintptr(d.lines)*lineSize; ; {
			p := s.at(i)
			x := p.hash.Load()
			if x|1 == h {
				for {
					word := p.word.Load()
					if word&held != 0 {
						return m.settle(t, h, l, key, op, now)
					}
					n, a := l.Strategy.Apply(State{A: int64(word >> 1)}, l, now, op)
					if next := uint64(n.A) << 1; next == word || p.word.CompareAndSwap(word, next) {
						return a, NewMark(now) | markApproximate*Mark(^x&1), nil
					}
				}
			}
			if x == 0 {
				break
			}
			if i += 16; i == end {
				i = 0
			}
		}
	}
	return m.settle(t, h, l, key, op, now)
}

// oneUnusual is One when the limit is new to the store, something is blocked, or the operation is not a take or a look.
func (m *Memory) oneUnusual(l *Limit, key string, op Op) (Answer, Mark, error) {
	t, err := m.table(l)
	if err != nil {
		return Answer{}, 0, err
	}
	h := m.seed.hash(key)
	now, err := m.nowFor(l)
	if err != nil {
		return Answer{}, 0, err
	}
	if op.Max >= 0 {
		if until := m.notes.blockedUntil(l.ID, key); until > now {
			return m.blocked(t, h, l, key, now, until)
		}
	} else if op.Kind() == Clear {
		if err := m.notes.reset(m, l, key, now); err != nil {
			return Answer{}, 0, err
		}
	}
	return m.at(t, t.dir.Load(), t.dir.Load().segment(h), h, l, key, op, now)
}

// blocked is the answer for a key that is blocked: what it has left, and when the block ends.
func (m *Memory) blocked(t *table, h uint64, l *Limit, key string, now, until int64) (Answer, Mark, error) {
	a, mark, err := m.settle(t, h, l, key, LookOp(1), now)
	a.Granted, a.Remaining, a.Wait = 0, 0, until-now
	a.Reset = max(a.Reset, a.Wait)
	return a, mark.Blocked(), err
}

// settle does one operation the long way: on a key that is not there yet, that is held or being moved, or with more than one
// word of state.
func (m *Memory) settle(t *table, h uint64, l *Limit, key string, op Op, now int64) (Answer, Mark, error) {
	for tries := 0; ; tries++ {
		if t.retired.Load() {
			var err error
			if t, err = m.table(l); err != nil {
				return Answer{}, 0, err
			}
		}
		d := t.dir.Load()
		s := d.segment(h)
		p, i := t.find(s, d, h, key)
		if p == nil {
			a, mark, err := t.begin(h, l, key, op, now)
			if err == errAgain {
				continue
			}
			return a, mark, err
		}
		word := p.word.Load()
		switch {
		case word == frozen:
			s.mu.Lock() // until the copy is made
			s.mu.Unlock()
		case word == moved:
			a, mark, err := t.begin(h, l, key, op, now)
			if err == errAgain {
				continue
			}
			return a, mark, err
		case word&held != 0:
			runtime.Gosched()
		case !t.records:
			n, a := l.Strategy.Apply(State{A: int64(word >> 1)}, l, now, op)
			if next := uint64(n.A) << 1; next == word || p.word.CompareAndSwap(word, next) {
				return a, p.mark(now), nil
			}
		case l.builtin:
			if !p.word.CompareAndSwap(word, word|held) {
				continue
			}
			before := t.state(s, p, i, word)
			st := t.room(before, op)
			t.store.bytes.Add(st.logBytes() - before.logBytes())
			n, a := l.Strategy.Apply(st, l, now, op)
			t.release(s, p, i, n)
			return a, p.mark(now), nil
		default:
			if a, done := t.applyForeign(s, p, i, word, op, now); done {
				return a, p.mark(now), nil
			}
			if tries > maxTries {
				return Answer{}, 0, ErrContention
			}
			runtime.Gosched()
		}
	}
}

// maxTries bounds how often the strategy of somebody else is asked again because the key has changed meanwhile.
const maxTries = 10_000

func (p *slot) mark(now int64) Mark {
	return NewMark(now) | markApproximate*Mark(^p.hash.Load()&1)
}

// room gives a take the free cell that it may need.
func (t *table) room(st State, op Op) State {
	if !t.cells || op.Max <= 0 {
		return st
	}
	if st.Log == nil {
		st.Log = t.limit.newCells()
		return st
	}
	have := len(st.Log.Pairs)
	if have >= t.limit.words || liveCells(st) < have {
		return st
	}
	n := min(2*have, t.limit.words)
	if !t.store.hasBytes(int64(n) * 16) {
		return st // the strategy merges runs instead, on the refusing side
	}
	return growCells(st, n)
}

// newCells is the memory that a new key of the limit begins with: a few cells, which room lets grow, or for a strategy that is
// not ours, whose layout nobody knows, all that it asks for.
func (l *Limit) newCells() *Cells {
	switch {
	case l.words <= 3:
		return nil
	case l.builtin:
		return &Cells{Pairs: make([]Pair, 4)}
	}
	return &Cells{Pairs: make([]Pair, l.words)}
}

// cloned is the state with a copy of its cells.
func (s State) cloned() State {
	if s.Log != nil {
		s.Log = &Cells{Pairs: slices.Clone(s.Log.Pairs)}
	}
	return s
}

// logBytes is the memory of the state's cells.
func (s State) logBytes() int64 {
	if s.Log == nil {
		return 0
	}
	return int64(len(s.Log.Pairs)) * 16
}

// applyForeign applies a strategy that is not ours to a copy of the state, without holding anything meanwhile, and writes the
// result if the state is still the same.
func (t *table) applyForeign(s *segment, p *slot, i uintptr, word uint64, op Op, now int64) (Answer, bool) {
	if !p.word.CompareAndSwap(word, word|held) {
		return Answer{}, false
	}
	before := t.state(s, p, i, word)
	st := t.room(before.cloned(), op)
	p.word.Store(word)
	n, a := t.limit.Strategy.Apply(st, t.limit, now, op)
	if n == st {
		return a, true // what it was lent is dropped
	}
	if !p.word.CompareAndSwap(word, word|held) {
		return Answer{}, false
	}
	if t.state(s, p, i, word) != before {
		p.word.Store(word)
		return Answer{}, false
	}
	t.release(s, p, i, n)
	return a, true
}

// Many implements [Store].
func (m *Memory) Many(ctx context.Context, claims []Claim, into []Outcome) error {
	for len(claims) > batchSize {
		if err := m.Many(ctx, claims[:batchSize], into[:batchSize]); err != nil {
			return err
		}
		claims, into = claims[batchSize:], into[batchSize:]
	}
	var hashes [batchSize]uint64
	for i := range claims {
		c := &claims[i]
		t := (*table)(atomic.LoadPointer(&c.Limit.home))
		if t == nil || t.store != m || m.unusual.Load() != 0 {
			hashes[i] = 0
			continue
		}
		h := m.seed.hash(c.Key)
		hashes[i] = h
		d := t.dir.Load()
		prefetch(unsafe.Pointer(d.segment(h).at(d.home(h))))
	}
	if len(claims) == 0 {
		return nil
	}
	now, err := m.nowFor(&unaligned)
	if err != nil {
		return err
	}
	for i := range claims {
		c, o := &claims[i], &into[i]
		h := hashes[i]
		if h == 0 || c.Limit.wall || c.Op.Max < 0 {
			o.Answer, o.Mark, o.Err = m.oneUnusual(c.Limit, c.Key, c.Op)
			continue
		}
		t := (*table)(atomic.LoadPointer(&c.Limit.home))
		d := t.dir.Load()
		o.Answer, o.Mark, o.Err = m.at(t, d, d.segment(h), h, c.Limit, c.Key, c.Op, now)
	}
	return nil
}

// unaligned stands for all limits that count by the store's own clock.
var unaligned Limit

// Refund implements [Store].
func (m *Memory) Refund(_ context.Context, l *Limit, key string, op Op, nonce uint64) (Answer, Mark, error) {
	now, err := m.nowFor(l)
	if err != nil {
		return Answer{}, 0, err
	}
	if worth, err := m.notes.use(m, l, key, op.Wait, nonce, now); err != nil || !worth {
		return Answer{}, NewMark(now), err
	}
	a, mark, err := m.oneUnusual(l, key, op)
	if err != nil {
		m.notes.unuse(nonce)
	}
	return a, mark, err
}

// Block implements [Store].
func (m *Memory) Block(_ context.Context, l *Limit, key string, d time.Duration) error {
	if m.unusual.Load()&closedFlag != 0 {
		return ErrClosed
	}
	now, err := m.nowFor(l)
	if err != nil {
		return err
	}
	return m.notes.block(m, l, key, now, now+min(ticksUp(d), maxFill))
}

// Close writes the snapshot, if there is to be one, and makes later calls fail with ErrClosed.
func (m *Memory) Close() error {
	for {
		old := m.unusual.Load()
		if old&closedFlag != 0 {
			return nil
		}
		if m.unusual.CompareAndSwap(old, old|closedFlag) {
			break
		}
	}
	if m.saver == nil {
		return nil
	}
	return m.saver.stop()
}

// MemoryStats is what a memory store holds and has done.
type MemoryStats struct {
	Keys    int64 // kept, including those that may be forgotten at the next occasion
	Bytes   int64 // of the keys' tables
	Evicted int64 // live keys moved into the sketch, or forgotten by Evict
	Refused int64 // new keys turned away at the bound
	Tables  int   // sets of values of limits in use
}

// Stats is what the store holds now.
func (m *Memory) Stats() MemoryStats {
	return MemoryStats{m.used.Load(), m.bytes.Load(), m.evicted.Load(), m.refused.Load(), len(m.allTables())}
}

// hasBytes says whether so many more bytes are within MaxBytes.
func (m *Memory) hasBytes(n int64) bool {
	return m.options.MaxBytes == 0 || m.bytes.Load()+n <= m.options.MaxBytes
}
