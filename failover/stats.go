package failover

import (
	"sync/atomic"
	"time"
)

// Stats is how a store is, and what it has done.
type Stats struct {
	Lost  bool      // nobody asks the store now but probes
	Since time.Time // of the last loss
	Cause error     // the last failure, a probe's included

	Losses   int64 // times the store was lost
	Failures int64 // calls that failed
	Timeouts int64 // of them, those that Timeout ended
	Probes   int64

	Closed       int64 // claims refused because of Closed, or in its place where Open and Local cannot be
	Open         int64 // claims decided by Open
	Local        int64 // takes granted by Local
	LocalRefused int64 // takes refused by Local
	Full         int64 // takes that Local could not decide at MaxKeys
	Undone       int64 // operations that ended with ErrLost

	Owed    int64 // keys with units that are still to be charged in the store
	Charged int64 // units of shares that were charged in the store
}

type counts struct {
	failures, timeouts, probes                      atomic.Int64
	closed, open, local, localRefused, full, undone atomic.Int64
	charged                                         atomic.Int64
}

// Stats is how the store is now.
func (s *Store) Stats() Stats {
	lost, since, cause := s.breaker.lost()
	s.breaker.mu.Lock()
	losses := s.breaker.losses
	s.breaker.mu.Unlock()
	c := &s.counts
	return Stats{
		Lost: lost, Since: since, Cause: cause,
		Losses: losses, Failures: c.failures.Load(), Timeouts: c.timeouts.Load(), Probes: c.probes.Load(),
		Closed: c.closed.Load(), Open: c.open.Load(), Local: c.local.Load(), LocalRefused: c.localRefused.Load(),
		Full: c.full.Load(), Undone: c.undone.Load(),
		Owed: s.owed.len(), Charged: c.charged.Load(),
	}
}
