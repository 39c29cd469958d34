package stint

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Memory keeps the counts in the process: the store of a single machine, and the default. A decision on a warm key takes some
// tens of nanoseconds, most of it the reading of the clock, and allocates nothing; a key of a one-word strategy takes about 25
// bytes, whatever its length. Memory follows the live keys up and down in small steps, without a goroutine and without a pause.
//
// Keys are known by a 63-bit keyed hash: the chance that any two of n live keys of a limit meet is n²/2^64 (10 million keys: 5
// in a million), and keys that meet share one count. ExactKeys rules it out.
//
// It is safe for concurrent use, by any number of limiters. Limits with the same ID share their counts.
type Memory struct {
	options MemoryOptions
	seed    seed
	clock   clock
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
	saving sync.Mutex            // one snapshot at a time
	saved  []*savedTable         // out of the snapshot, not claimed by a limit yet; under mu
	moves  atomic.Pointer[moves] // while a snapshot is being written
}

// NewMemory makes a memory store. It fails when the options conflict, the machine's clock is out of range, or there is a
// snapshot that cannot be read.
func NewMemory(o MemoryOptions) (*Memory, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	m := &Memory{options: o, seed: newSeed(), families: make(map[string]*family)}
	m.clock.begin()
	if o.Clock != nil {
		m.clock.steady = false
	}
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

// Now is the store's instant, for [Limiter.AllowAt].
func (m *Memory) Now() Instant {
	now, _ := m.nowFor(&unaligned) // an instant out of range is refused when it is used
	return Instant(now)
}

// now is the store's instant.
func (m *Memory) now() int64 {
	if m.options.Clock != nil {
		return m.options.Clock()
	}
	return m.clock.read()
}

// earliest is an instant that is not after now, an instant of the store, on any clock that a limit counts by.
func (m *Memory) earliest(now int64) int64 { return now - max(0, -m.skew.Load()) }

// nowFor is the instant for a limit: the store's own, or the wall's where its windows are aligned to the wall. Every call
// begins with it, and does the housekeeping that is due.
func (m *Memory) nowFor(l *Limit) (int64, error) {
	now, ok := m.clock.now()
	if !ok {
		var err error
		if now, err = m.tick(); err != nil {
			return 0, err
		}
	}
	if l.wall {
		now += m.skew.Load()
	}
	return now, nil
}

// tick reads the clock, as some call does every millisecond, and does the housekeeping that is due.
func (m *Memory) tick() (int64, error) {
	now := m.now()
	if uint64(now) >= uint64(m.due.Load()) {
		if err := m.housekeep(now); err != nil {
			return 0, err
		}
	}
	return now, nil
}

// unaligned stands for all limits that count by the store's own clock.
var unaligned Limit

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
