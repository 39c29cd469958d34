package failover

import (
	"sync"
	"sync/atomic"
	"time"
)

// breaker says whether the store may be asked. It is whole, or lost; every change begins a new age, and what was begun in an age
// says nothing of another.
type breaker struct {
	most int // failures in a row that are borne
	wake chan<- struct{}

	age atomic.Uint64 // odd while lost
	row atomic.Int64  // failures in a row

	mu     sync.Mutex
	since  time.Time // of the loss
	cause  error     // the last failure
	losses int64
}

// ask says whether the store may be asked, and in which age.
func (b *breaker) ask() (age uint64, whole bool) {
	age = b.age.Load()
	return age, age&1 == 0
}

func (b *breaker) whole() bool {
	_, whole := b.ask()
	return whole
}

// succeeded is told of an answer to what was asked in the age.
func (b *breaker) succeeded(age uint64) {
	if b.row.Load() != 0 && b.age.Load() == age {
		b.row.Store(0)
	}
}

// failed is told of a failure of what was asked in the age.
func (b *breaker) failed(age uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cause = err
	if b.age.Load() == age && b.row.Add(1) >= int64(b.most) {
		b.since = time.Now()
		b.losses++
		b.age.Add(1)
		poke(b.wake)
	}
}

// absent is how a breaker begins whose store is not there yet.
func (b *breaker) absent() {
	b.since, b.cause = time.Now(), errAbsent
	b.age.Store(1)
}

// mend ends a loss.
func (b *breaker) mend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.row.Store(0)
	b.age.Add(1)
}

// blame keeps the error of a failed probe.
func (b *breaker) blame(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cause = err
}

// lost says whether the store is lost, since when, and the last failure.
func (b *breaker) lost() (lost bool, since time.Time, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.whole(), b.since, b.cause
}

// poke wakes whoever listens, now or when it next does.
func poke(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
