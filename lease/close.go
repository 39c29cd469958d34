package lease

import (
	"context"
	"errors"
	"sync"
)

// Close gives back what the leases hold, within CloseWithin, and closes the inner store. Later calls return stint.ErrClosed. No
// goroutine is left once the inner store has answered what it was asked. A second Close returns what the first did.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	s.mu.Lock()
	s.closed.Store(true)
	s.mu.Unlock()
	close(s.stop)
	ctx, cancel := context.WithTimeout(context.Background(), s.options.CloseWithin)
	defer cancel()
	late := !s.finish(ctx)
	s.cancel() // of what was late
	s.deliverAll(ctx, s.remains())
	err := s.inner.Close()
	if late {
		err = errors.Join(err, ErrCloseLate)
	}
	return err
}

// finish waits until no goroutine works for the store.
func (s *Store) finish(ctx context.Context) bool {
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// remains takes out of use all that is held and all that waits to be sent.
func (s *Store) remains() []parcel {
	s.returns.mu.Lock()
	parcels := s.returns.waiting
	s.returns.waiting, s.returns.closed = nil, true
	s.returns.mu.Unlock()
	now := s.now()
	for r := range s.leases.all {
		r.mu.Lock()
		for _, b := range r.clear(now) {
			if p, ok := s.pack(r, b, now); ok {
				parcels = append(parcels, p)
			}
		}
		r.mu.Unlock()
	}
	return parcels
}

// deliverAll sends parcels, a few at once, until the context ends. The rest is lost.
func (s *Store) deliverAll(ctx context.Context, parcels []parcel) {
	work := make(chan parcel)
	var senders sync.WaitGroup
	for range min(mostSenders, len(parcels)) {
		senders.Go(func() {
			for p := range work {
				if ctx.Err() != nil {
					s.lose(p)
					continue
				}
				s.deliver(ctx, p)
			}
		})
	}
	for _, p := range parcels {
		work <- p
	}
	close(work)
	senders.Wait()
}
