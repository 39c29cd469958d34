package fleet

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// depot is the store that the fleet shares, and the record of all that it did.
type depot struct {
	t testing.TB

	mu      sync.Mutex
	memory  *stint.Memory
	ahead   atomic.Int64 // of the bubble's time, in ticks
	records []*record
	losses  []int64 // when the state was lost
	after   []int   // how many records there were then: others can be of the same instant
	steps   []leap

	messages sync.WaitGroup // under way
	calm     atomic.Bool    // nothing is lost or slow any more
}

// record is one operation that the store did for a process. A refused one has no units.
type record struct {
	by      *process
	limit   *stint.Limit
	key     string
	at      int64
	op      stint.Op
	answer  stint.Answer
	arrived bool // the answer reached the process
}

// leap is a step of the clock.
type leap struct{ at, by int64 }

// newDepot is a store whose clock begins at an instant; at the zero time, at the bubble's.
func newDepot(t testing.TB, begins time.Time) *depot {
	d := &depot{t: t}
	if !begins.IsZero() {
		d.ahead.Store(time.Until(begins).Microseconds())
	}
	d.memory = d.open()
	return d
}

// clock is the store's.
func (d *depot) clock() int64 { return time.Now().UnixMicro() + d.ahead.Load() }

// at is the time that the store's clock has when the bubble's has t.
func (d *depot) at(t time.Time) time.Time { return t.Add(time.Duration(d.ahead.Load()) * stint.Tick) }

// step makes the store's clock step.
func (d *depot) step(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps = append(d.steps, leap{d.clock(), by.Microseconds()})
	d.ahead.Add(by.Microseconds())
}

func (d *depot) open() *stint.Memory {
	m, err := stint.NewMemory(stint.MemoryOptions{Clock: d.clock})
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// lose makes the store begin anew.
func (d *depot) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory = d.open()
	d.losses, d.after = append(d.losses, d.clock()), append(d.after, len(d.records))
}

// compact makes the store forget what it may.
func (d *depot) compact() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory.Compact()
}

// do does something on the store, alone. Its records are kept.
func (d *depot) do(f func(m *stint.Memory) ([]*record, error)) ([]*record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	records, err := f(d.memory)
	d.records = append(d.records, records...)
	return records, err
}

// reached marks records as known to the process.
func (d *depot) reached(records []*record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range records {
		r.arrived = true
	}
}
