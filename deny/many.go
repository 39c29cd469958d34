package deny

import (
	"context"
	"slices"

	"github.com/stint-go/stint"
)

// rest are the claims of a batch that are not refused out of memory.
type rest struct {
	claims   []stint.Claim
	outcomes []stint.Outcome
	origins  []origin
}

// origin is where a claim of the rest comes from, and its key's age when the store was asked.
type origin struct {
	at   int
	hash uint64
	age  age
}

// Many implements [stint.Store]. What comes after other claims on its key in a batch is not refused by what came before the batch.
func (s *Store) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	r := s.rest.Get().(*rest)
	defer s.put(r)
	now := s.now()
	for i := range claims {
		c := &claims[i]
		h := s.hash(c.Limit, c.Key)
		if takes(c.Op) {
			if e := s.table.find(c.Limit, h); e != nil && e.refuses(c.Op) && e.live(now) && !r.holds(h) {
				into[i] = stint.Outcome{}
				into[i].Answer, into[i].Mark = e.refusal(c.Op, now)
				continue
			}
		}
		r.claims = append(r.claims, *c)
		r.origins = append(r.origins, origin{i, h, s.table.cell(h).age()})
	}
	s.spared.Add(int64(len(claims) - len(r.claims)))
	if len(r.claims) == 0 {
		return nil
	}
	r.outcomes = append(r.outcomes, make([]stint.Outcome, len(r.claims))...)
	for k := range r.claims {
		if frees(r.claims[k].Op) {
			defer s.changing(r.origins[k].hash).end()
		}
	}
	err := s.inner.Many(ctx, r.claims, r.outcomes)
	for k := range r.claims {
		c, from, o := &r.claims[k], r.origins[k], r.outcomes[k]
		into[from.at] = o
		if err != nil {
			o.Err = err
		}
		if !frees(c.Op) {
			s.learn(c.Limit, from.hash, from.age, c.Op, o)
		}
	}
	return err
}

// holds says whether a claim on the key is among the rest.
func (r *rest) holds(hash uint64) bool {
	return slices.ContainsFunc(r.origins, func(o origin) bool { return o.hash == hash })
}

// put keeps a rest for the next batch, without what it held.
func (s *Store) put(r *rest) {
	clear(r.claims)
	r.claims, r.outcomes, r.origins = r.claims[:0], r.outcomes[:0], r.origins[:0]
	s.rest.Put(r)
}
