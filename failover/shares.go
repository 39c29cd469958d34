package failover

import (
	"context"
	"sync"

	"github.com/stint-go/stint"
)

// shares are what this instance enforces by itself, counted in a memory store of its own. They are never filled up but by time, so
// that a store that comes and goes gives nobody more than one that stays away.
type shares struct {
	store *stint.Memory

	mu        sync.Mutex
	instances int
	limits    map[*stint.Limit]*stint.Limit // nil: the limit has no share
}

// among is how many instances share the limits; 0 if that was not said.
func (s *shares) among() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instances
}

// divide changes how many instances share the limits. A share keeps its ID, so its keys carry over what they have used.
func (s *shares) divide(instances int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances, s.limits = instances, nil
}

// maxShares bounds the limits whose shares are kept ready. They are made again when needed.
const maxShares = 1024

// of is the limit's share; nil if it has none.
func (s *shares) of(l *stint.Limit) *stint.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	share, known := s.limits[l]
	if known {
		return share
	}
	if s.limits == nil || len(s.limits) >= maxShares {
		s.limits = make(map[*stint.Limit]*stint.Limit)
	}
	share, err := shareOf(l, int64(max(1, s.instances)))
	if err != nil {
		share = nil
	}
	s.limits[l] = share
	return share
}

// counts is how many of the units granted out of the share still count in it.
func (s *shares) counts(p place) int64 {
	share := s.of(p.limit)
	if share == nil {
		return 0
	}
	a, _, err := s.store.One(context.Background(), share, p.key, stint.LookOp(1))
	if err != nil || a.Reset == 0 {
		return 0
	}
	return max(0, share.Capacity()-a.Remaining)
}
