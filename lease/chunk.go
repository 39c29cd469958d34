package lease

import "github.com/stint-go/stint"

// chunk is the working memory of a call with several claims.
type chunk struct {
	claims   []stint.Claim // for the store
	places   []int         // of each among the call's claims
	outcomes []stint.Outcome
	trips    []tripOf // of each of the claims, if it brings a block along
	taken    []taken  // out of leases
}

// tripOf is a trip of a lease, or nothing.
type tripOf struct {
	lease *lease
	trip  *trip
}

// taken is n units that were taken out of a block for the claim at a place.
type taken struct {
	lease *lease
	block *block
	n     int64
	place int
}

// chunk is an empty one.
func (s *Store) chunk() *chunk {
	c := s.chunks.Get().(*chunk)
	clear(c.claims)
	clear(c.trips)
	clear(c.taken)
	c.claims, c.places, c.trips, c.taken = c.claims[:0], c.places[:0], c.trips[:0], c.taken[:0]
	return c
}

// room makes a place for the outcome of each claim.
func (c *chunk) room() {
	if cap(c.outcomes) < len(c.claims) {
		c.outcomes = make([]stint.Outcome, len(c.claims))
	}
	c.outcomes = c.outcomes[:len(c.claims)]
	clear(c.outcomes)
}

// putBack puts back what was taken out of leases for a call that was refused. What their blocks do not take, since they have ended
// meanwhile, goes to the store.
func (c *chunk) putBack(s *Store, now int64) {
	for _, t := range c.taken {
		if t.block.putBack(t.n) {
			continue
		}
		s.counts.spent.Add(-t.n)
		if p, ok := s.parcel(t.lease, t.block, t.n, now); ok {
			s.send(p)
		}
	}
	clear(c.taken)
	c.taken = c.taken[:0]
}
