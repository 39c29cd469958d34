package lease

import (
	"context"

	"github.com/stint-go/stint"
)

// chunkSize is how many claims of a batch are served together.
const chunkSize = 64

// Many implements [stint.Store]. Claims whose leases hold enough are served from them; the rest goes to the store in one call,
// those on keys that are to have a lease bringing a block along. If the store cannot be asked, only those have an error.
func (s *Store) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	if s.closed.Load() {
		return stint.ErrClosed
	}
	for len(claims) > 0 {
		n := min(chunkSize, len(claims))
		s.few(ctx, claims[:n], into[:n])
		claims, into = claims[n:], into[n:]
	}
	return nil
}

func (s *Store) few(ctx context.Context, claims []stint.Claim, into []stint.Outcome) {
	c := s.chunk()
	defer s.chunks.Put(c)
	now := s.now()
	for i := range claims {
		claim, o := &claims[i], &into[i]
		*o = stint.Outcome{Err: s.refusal(claim.Limit)}
		if o.Err != nil || !c.asks(claim) && s.local(c, claim, i, o, now) {
			continue
		}
		if claim.Op.Kind() == stint.Clear {
			s.end(claim.Limit, claim.Key)
			defer s.end(claim.Limit, claim.Key)
		}
		t := tripOf{}
		if !c.asks(claim) {
			t = s.along(claim, now)
		}
		c.claims, c.places, c.trips = append(c.claims, *claim), append(c.places, i), append(c.trips, t)
		if t.trip != nil {
			c.claims[len(c.claims)-1].Op.Max += t.trip.more
		}
	}
	if len(c.claims) == 0 {
		return
	}
	c.room()
	err := s.inner.Many(ctx, c.claims, c.outcomes)
	for k, i := range c.places {
		o := &c.outcomes[k]
		if err != nil {
			*o = stint.Outcome{Err: err}
		}
		s.landed(c, k, &claims[i])
		into[i] = *o
	}
}

// asks says whether a claim on the same key is among those for the store already: then this one has to come after it.
func (c *chunk) asks(claim *stint.Claim) bool {
	for k := range c.claims {
		if other := &c.claims[k]; other.Key == claim.Key && other.Limit.ID == claim.Limit.ID {
			return true
		}
	}
	return false
}

// along is a trip of the claim's key, if it is to have one.
func (s *Store) along(claim *stint.Claim, now int64) tripOf {
	l, op := claim.Limit, claim.Op
	if op.Max <= 0 || op.Wait != 0 || op.Min < op.Max {
		return tripOf{}
	}
	r := s.recall(l, claim.Key, op, s.leases.hash(l.ID, claim.Key))
	if r == nil {
		return tripOf{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.adopt(r, l, now)
	r.cost = op.Max
	return tripOf{r, r.depart(op.Max, now, s.options.Life, s.most(l))}
}

// landed ends the trip of a claim that came back from the store, and makes its outcome the caller's.
func (s *Store) landed(c *chunk, k int, claim *stint.Claim) {
	switch o, t := &c.outcomes[k], c.trips[k]; {
	case t.trip != nil:
		s.arrive(t.lease, claim.Limit, t.trip, &o.Answer, o.Mark, o.Err)
	case o.Err == nil:
		s.tell(claim.Limit, claim.Key, &o.Answer, o.Mark)
	}
}
