package redisstore

import (
	"context"
	"sync"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// Many implements [stint.Store]. All claims go in one round trip: in one call of the script, or on a Cluster in one for each slot.
func (s *Store) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	switch len(claims) {
	case 0:
		return nil
	case 1: // a script for it alone costs the server less
		o, c := &into[0], &claims[0]
		o.Answer, o.Mark, o.Err = s.One(ctx, c.Limit, c.Key, c.Op)
		return nil
	}
	ctx, cancel := s.link.bounded(ctx)
	defer cancel()
	groups, err := s.groups(ctx, claims)
	if err != nil {
		return err
	}
	var left []*group
	deals := s.deals(groups, &left)
	calls := make([]*call, len(deals))
	for i, d := range deals {
		calls[i] = d.call(s.clock(), eachForItself)
	}
	if len(calls) > 0 {
		s.link.run(ctx, calls...)
	}
	for i, d := range deals {
		left = append(left, d.answer(calls[i], into)...)
	}
	s.stats.byScript.Add(int64(len(groups) - len(left)))
	s.each(ctx, left, into)
	return nil
}

// groups are the claims by key, in order.
func (s *Store) groups(ctx context.Context, claims []stint.Claim) ([]*group, error) {
	groups := make([]*group, 0, len(claims))
	known := make(map[string]*group, len(claims))
	var last *plan
	for i := range claims {
		c := &claims[i]
		if last == nil || last.limit != c.Limit {
			if err := s.begin(ctx, c.Limit); err != nil {
				return nil, err
			}
			last = s.plan(c.Limit)
		}
		key := recordKey(c.Limit.ID, c.Key)
		g := known[key]
		if g == nil {
			g = &group{key: key, plan: last}
			groups = append(groups, g)
			known[key] = g
		}
		if g.plan != last && g.plan.limit.Variant() != last.limit.Variant() {
			// The same key under other values of the limit: one after the other.
			g = &group{key: key, plan: last}
			groups = append(groups, g)
			known[key] = g
			g.byGo = true
		}
		g.add(s, c.Op, i)
	}
	return groups, nil
}

// deals deals the groups out to calls of the script, those of a slot together; left gets what only Go can do.
func (s *Store) deals(groups []*group, left *[]*group) []*deal {
	var deals []*deal
	open := map[uint16]*deal{}
	for _, g := range groups {
		if g.byGo {
			*left = append(*left, g)
			continue
		}
		place := uint16(0)
		if s.link.cluster != nil {
			place = slot(g.key)
		}
		d := open[place]
		if d == nil || !d.has(g) {
			d = &deal{sets: []*set{new(set)}}
			deals = append(deals, d)
			open[place] = d
		}
		d.add(d.sets[0], g)
	}
	return deals
}

// answer puts into the outcomes what the script says to the deal, and returns the groups that it left to Go.
func (d *deal) answer(c *call, into []stint.Outcome) (left []*group) {
	a, err := d.read(c)
	for _, groups := range [][]*group{d.sets[0].words, d.sets[0].runs} {
		for _, g := range groups {
			if err != nil {
				g.fail(err, into)
			} else if !g.answer(&a, into) {
				left = append(left, g)
			}
		}
	}
	return left
}

// answer puts the group's part of the answer into the outcomes, worked out by the strategy from the state that the script found.
// It is false for what the script left to Go; of runs it may be the later steps only.
func (g *group) answer(a *dealt, into []stint.Outcome) bool {
	mark := stint.NewMark(a.now)
	var s stint.State
	for i := range g.steps {
		x := &g.steps[i]
		if i == 0 || g.plan.kind == byRuns {
			var ok bool
			if s, ok = a.stateOf(g, i); !ok {
				g.steps = g.steps[i:]
				return false
			}
		}
		for k, claim := range x.claims {
			if k > 0 && g.plan.kind == byRuns {
				s = g.plan.limit.Lend(s, x.op)
			}
			o := &into[claim]
			s, o.Answer = g.plan.limit.Strategy.Apply(s, g.plan.limit, a.now, x.op)
			o.Mark, o.Err = mark, nil
		}
	}
	return true
}

func (g *group) fail(err error, into []stint.Outcome) {
	for _, x := range g.steps {
		for _, claim := range x.claims {
			into[claim] = stint.Outcome{Err: err}
		}
	}
}

// atOnce is how many keys are compared and set at once for one call.
const atOnce = 8

// each has Go decide the groups, each for itself and in turn where they are on one key.
func (s *Store) each(ctx context.Context, groups []*group, into []stint.Outcome) {
	if len(groups) == 1 {
		s.byGo(ctx, groups[0], into)
		return
	}
	byKey, keys := map[string][]*group{}, []string(nil)
	for _, g := range groups {
		if byKey[g.key] == nil {
			keys = append(keys, g.key)
		}
		byKey[g.key] = append(byKey[g.key], g)
	}
	var wg sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, key := range keys {
		places <- struct{}{}
		wg.Go(func() {
			for _, g := range byKey[key] {
				s.byGo(ctx, g, into)
			}
			<-places
		})
	}
	wg.Wait()
}

// byGo has Go decide one group.
func (s *Store) byGo(ctx context.Context, g *group, into []stint.Outcome) {
	err := s.settle(ctx, []string{g.key}, func(now int64, held []string) ([]write, error) {
		r, err := parse(held[0])
		if err != nil {
			return nil, err
		}
		dirty := false
		for _, x := range g.steps {
			for _, claim := range x.claims {
				var changed bool
				if into[claim], changed = r.Step(g.plan.limit, now, x.op, s.earlier(ctx)); into[claim].Err != nil {
					return nil, into[claim].Err
				}
				dirty = dirty || changed
			}
		}
		return g.plan.rewrite(&r, dirty, now, s.slack()), nil
	})
	if err != nil {
		g.fail(err, into)
	}
}

// rewrite is what is to be written if the record changed.
func (p *plan) rewrite(r *record.Record, changed bool, now, slack int64) []write {
	if !changed {
		return nil
	}
	becomes, ms := p.format(r, now, slack)
	return []write{{becomes: becomes, ms: ms}}
}
