package lease

import (
	"context"

	"github.com/stint-go/stint"
)

// All implements [stint.Store]. Claims whose leases hold enough are taken out of them first, the rest is asked of the store in one
// call. If the store refuses they are put back, so the call takes all of its claims or none.
func (s *Store) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	if s.closed.Load() {
		return stint.ErrClosed
	}
	for i := range claims {
		if err := s.refusal(claims[i].Limit); err != nil {
			return err
		}
	}
	c := s.chunk()
	defer s.chunks.Put(c)
	now := s.now()
	for i := range claims {
		claim := &claims[i]
		l, op := claim.Limit, claim.Op
		switch op.Kind() {
		case stint.Grant:
			if op.Min < op.Max { // in step with the others: the store must see them all
				c.putBack(s, now)
				return s.inner.All(ctx, claims, into)
			}
		case stint.Clear:
			s.end(l, claim.Key)
			defer s.end(l, claim.Key)
		}
		if !s.local(c, claim, i, &into[i], now) {
			c.claims, c.places = append(c.claims, *claim), append(c.places, i)
		}
	}
	if len(c.claims) == 0 {
		return nil
	}
	granted, err := s.rest(ctx, c)
	for k, i := range c.places {
		into[i] = c.outcomes[k]
	}
	if err != nil || !granted {
		for i := range c.taken {
			t := &c.taken[i]
			o := &into[t.place]
			o.Remaining = min(o.Remaining+o.Granted, claims[t.place].Limit.Capacity()) // as if it had never been taken
		}
		c.putBack(s, s.now())
	}
	return err
}

// local serves a claim from its key's lease, if it holds enough.
func (s *Store) local(c *chunk, claim *stint.Claim, i int, o *stint.Outcome, now int64) bool {
	l, op := claim.Limit, claim.Op
	r := s.leases.find(s.leases.hash(l.ID, claim.Key), l.ID, claim.Key)
	if r == nil {
		return false
	}
	switch {
	case op.Max == 0:
		a, m, ok := r.look(l, op.Min, now)
		*o = stint.Outcome{Answer: a, Mark: m}
		return ok
	case op.Max > 0 && op.Min == op.Max && op.Wait != stint.Forever:
		b, left := r.spend(l, op.Max, now)
		if b == nil {
			return false
		}
		if left < b.low && !b.warned.Load() {
			s.refillAhead(r, b)
		}
		*o = stint.Outcome{Answer: b.answer(op.Max, left+r.beside.Load(), now), Mark: b.mark}
		c.taken = append(c.taken, taken{r, b, op.Max, i})
		return true
	}
	return false
}

// rest asks the store for the claims that no lease serves, and says whether all were granted.
func (s *Store) rest(ctx context.Context, c *chunk) (bool, error) {
	c.room()
	if len(c.claims) == 1 && c.claims[0].Op.Kind() == stint.Grant && c.claims[0].Op.Wait == 0 {
		claim, o := &c.claims[0], &c.outcomes[0]
		var err error
		o.Answer, o.Mark, err = s.take(ctx, claim.Limit, claim.Key, claim.Op, s.leases.hash(claim.Limit.ID, claim.Key))
		return o.Granted >= claim.Op.Min, err
	}
	if err := s.inner.All(ctx, c.claims, c.outcomes); err != nil {
		return false, err
	}
	granted := true
	for k := range c.claims {
		claim, o := &c.claims[k], &c.outcomes[k]
		switch {
		case blocked(o.Mark) && claim.Op.Max >= 0:
			granted = false
		case claim.Op.Max > 0:
			granted = granted && o.Granted >= claim.Op.Min
		case claim.Op.Max == 0:
			granted = granted && o.Wait == 0
		}
	}
	for k := range c.claims {
		s.invite(&c.claims[k], &c.outcomes[k])
	}
	return granted, nil
}

// invite notes what the store answered to one of several claims, and asks for a block behind the call's back: the call itself
// could not bring one along.
func (s *Store) invite(claim *stint.Claim, o *stint.Outcome) {
	l, op := claim.Limit, claim.Op
	if op.Max <= 0 || op.Wait != 0 {
		s.tell(l, claim.Key, &o.Answer, o.Mark)
		return
	}
	r := s.recall(l, claim.Key, op, s.leases.hash(l.ID, claim.Key))
	if r == nil {
		return
	}
	r.mu.Lock()
	now := s.now()
	s.adopt(r, l, now)
	r.cost = op.Max
	var t *trip
	if o.Granted >= op.Min && !r.gone && !blocked(o.Mark) && !degraded(o.Mark) && s.ahead.Load() < mostAhead {
		r.remain = max(0, o.Remaining)
		t = r.depart(0, now, s.options.Life, s.most(l))
	}
	s.learn(r, o.Answer, o.Mark, now)
	o.Remaining = min(o.Remaining+r.holds(now), l.Capacity())
	r.mu.Unlock()
	if t != nil {
		s.depart(r, l, t)
	}
}
