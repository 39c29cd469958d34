package failover

import (
	"context"
	"time"

	"github.com/stint-go/stint"
)

// ProbeID is the id of the limit that probes take from. Its one key is the same as the id.
const ProbeID = "stint-failover-probe"

// probeLimit never refuses what probes ask.
var probeLimit = stint.PerSecond(1_000_000).WithBurst(1_000_000).WithID(ProbeID)

// keep opens the store, brings it back when it is lost, and charges what is owed, until the context ends. It sleeps while there is
// nothing to do.
func (s *Store) keep(ctx context.Context) {
	told := false // that the store is lost
	for first := true; ; first = false {
		s.tend(ctx)
		s.tell(ctx, &told)
		if first && s.options.Open != nil {
			close(s.tried)
		}
		var retry <-chan time.Time
		if !s.breaker.whole() || s.owed.len() > 0 {
			retry = time.After(s.options.Retry)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			s.tell(ctx, &told)
			if !s.breaker.whole() && !sleep(ctx, s.options.Retry) {
				return
			}
		case <-retry:
		}
	}
}

// tell tells Options.OnChange how the store is, unless it was told so before.
func (s *Store) tell(ctx context.Context, told *bool) {
	lost, _, cause := s.breaker.lost()
	if s.options.OnChange == nil || lost == *told || ctx.Err() != nil {
		return
	}
	*told = lost
	if !lost {
		cause = nil
	}
	s.options.OnChange(lost, cause)
}

// sleep is false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tend does what can be done now.
func (s *Store) tend(ctx context.Context) {
	if s.inner.Load() == nil && !s.openInner(ctx) {
		return
	}
	inner := *s.inner.Load()
	if s.breaker.whole() {
		_ = s.settle(ctx, inner) // what fails is owed still, and comes again
		return
	}
	for range s.options.Probes {
		if err := s.probe(ctx, inner); err != nil {
			s.breaker.blame(err)
			return
		}
	}
	// What is owed comes before the calls, and once more after them: some shares may have granted meanwhile.
	if err := s.settle(ctx, inner); err != nil {
		s.breaker.blame(err)
		return
	}
	s.breaker.mend()
	_ = s.settle(ctx, inner)
}

// openTimeout bounds a try to open the store.
const openTimeout = 10 * time.Second

// openInner tries to open the store.
func (s *Store) openInner(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	inner, err := s.options.Open(ctx)
	if err == nil && inner == nil {
		err = ErrNoStore
	}
	if err != nil {
		s.breaker.blame(err)
		return false
	}
	s.inner.Store(&inner)
	return true
}

// probe takes one unit, the way that calls do.
func (s *Store) probe(ctx context.Context, inner stint.Store) error {
	s.counts.probes.Add(1)
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	_, _, err := inner.One(ctx, s.probing, ProbeID, stint.TakeOp(1))
	if answered(err) {
		return nil
	}
	return err
}
