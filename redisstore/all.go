package redisstore

import (
	"context"
	"slices"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// All implements [stint.Store]. On one server, and on a Cluster where all keys are of one subject, one call of the script decides;
// else see spread.
func (s *Store) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	if len(claims) == 0 {
		return nil
	}
	ctx, cancel := s.link.bounded(ctx)
	defer cancel()
	parts, err := s.parts(ctx, claims)
	if err != nil {
		return err
	}
	if len(parts) == 1 {
		_, err := s.together(ctx, parts[0], into)
		return err
	}
	return s.spread(ctx, parts, claims, into)
}

// part is the claims of a call that lie on one server's slot.
type part struct {
	claims []stint.Claim
	at     []int // where each is in the call
	plans  []*plan
	keys   []string
	slot   uint16
}

// touches says whether one of the part's keys is among those.
func (p *part) touches(keys map[string]bool) bool {
	return len(keys) > 0 && slices.ContainsFunc(p.keys, func(key string) bool { return keys[key] })
}

// parts are the claims of a call by slot; without a Cluster there is one.
func (s *Store) parts(ctx context.Context, claims []stint.Claim) ([]*part, error) {
	var parts []*part
	places := map[uint16]*part{}
	for i, c := range claims {
		if err := s.begin(ctx, c.Limit); err != nil {
			return nil, err
		}
		key, place := recordKey(c.Limit.ID, c.Key), uint16(0)
		if s.link.cluster != nil {
			place = slot(key)
		}
		p := places[place]
		if p == nil {
			p = &part{slot: place}
			places[place] = p
			parts = append(parts, p)
		}
		p.claims, p.at = append(p.claims, c), append(p.at, i)
		p.plans, p.keys = append(p.plans, s.plan(c.Limit)), append(p.keys, key)
	}
	return parts, nil
}

// change is what a call did to a key.
type change struct {
	before, after stint.State
	now           int64
	granted       int64
}

// together decides the part's claims, all or none, and puts the outcomes where they are in the call. If they were granted it says
// what that changed.
func (s *Store) together(ctx context.Context, p *part, into []stint.Outcome) ([]change, error) {
	outcomes := make([]stint.Outcome, len(p.claims))
	changes, done, err := s.togetherByScript(ctx, p, outcomes)
	if err == nil && !done {
		changes, err = s.togetherByGo(ctx, p, outcomes)
	}
	for i, at := range p.at {
		into[at] = outcomes[i]
	}
	return changes, err
}

// groups are the part's claims, one each, whose outcomes lie from the given place on; false if only Go can decide them.
func (p *part) groups(s *Store, first int) ([]*group, bool) {
	groups := make([]*group, len(p.claims))
	for i, c := range p.claims {
		g := &group{key: p.keys[i], plan: p.plans[i]}
		g.add(s, c.Op, first+i)
		if groups[i] = g; g.byGo || c.Op.Max > 0 && c.Op.Min < c.Op.Max && len(p.claims) > 1 {
			return nil, false
		}
	}
	return groups, len(groups) <= maxGroups
}

// togetherByScript is together in one call of the script; done is false if only Go can do it.
func (s *Store) togetherByScript(ctx context.Context, p *part, into []stint.Outcome) (changes []change, done bool, err error) {
	groups, ok := p.groups(s, 0)
	var d deal
	if !ok || !d.join(p.claims, groups) {
		return nil, false, nil
	}
	c := d.call(s.clock(), allOrNone)
	s.link.run(ctx, c)
	a, err := d.read(c)
	if err != nil {
		return nil, false, err
	}
	changes, done, err = d.sets[0].calls.answer(&a, into)
	if done && err == nil {
		s.stats.byScript.Add(int64(len(groups)))
	}
	return changes, done, err
}

// togetherByGo is together by comparing and setting.
func (s *Store) togetherByGo(ctx context.Context, p *part, into []stint.Outcome) (changes []change, err error) {
	err = s.settle(ctx, p.keys, func(now int64, held []string) ([]write, error) {
		changes = nil
		records := make([]*record.Record, len(held))
		made := make([]change, len(held))
		for i := range held {
			r, err := parse(held[i])
			if err != nil {
				return nil, err
			}
			records[i] = &r
			made[i] = change{before: r.State, now: now}
		}
		granted, err := record.StepAll(p.claims, records, now, s.earlier(ctx), into)
		if err != nil || !granted {
			return nil, err
		}
		writes := make([]write, len(held))
		for i, r := range records {
			if writes[i] = unchanged(held[i]); p.claims[i].Op.Max != 0 {
				writes[i].becomes, writes[i].ms = p.plans[i].format(r, now, s.slack())
			}
			made[i].after, made[i].granted = r.State, into[i].Granted
		}
		changes = made
		return writes, nil
	})
	return changes, err
}
