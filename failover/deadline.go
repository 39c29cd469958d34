package failover

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at an instant. Its timer starts when somebody asks for Done: a store that answers from memory, as one
// of leases does, never asks, and context.WithDeadline costs more than its answer.
type deadline struct {
	at time.Time

	mu     sync.Mutex
	inner  context.Context    // the caller's, or once the timer has started one with the deadline
	cancel context.CancelFunc // nil before the timer has started
}

// Deadline implements [context.Context].
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Done implements [context.Context].
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel == nil {
		d.inner, d.cancel = context.WithDeadline(d.inner, d.at)
	}
	return d.inner.Done()
}

// Value implements [context.Context].
func (d *deadline) Value(key any) any { return d.now().Value(key) }

// Err implements [context.Context].
func (d *deadline) Err() error {
	if err := d.now().Err(); err != nil || time.Now().Before(d.at) {
		return err
	}
	return context.DeadlineExceeded
}

func (d *deadline) now() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inner
}

// end frees what the context holds. Whoever still has it sees it canceled if its timer had started.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel()
	}
}
