package redisstore

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// spread decides a call whose keys lie in several slots of a Cluster, which no server can do in one step. It looks at all of them at
// once; if all would pass it takes from one slot after the other, the likeliest to refuse first, and if one does refuse after all it
// gives back what it took. So it never admits too much; between the take and the giving back others may be refused for nothing, and
// what a process takes that dies in between stays charged.
func (s *Store) spread(ctx context.Context, parts []*part, claims []stint.Claim, into []stint.Outcome) error {
	passes, err := s.lookAt(ctx, parts, claims, into)
	if err != nil || !passes {
		return err
	}
	looked := slices.Clone(into)
	for _, p := range parts {
		for i, at := range p.at {
			if op := &p.claims[i].Op; op.Max > 0 && op.Min < op.Max {
				*op = stint.TakeOp(looked[at].Granted)
			}
		}
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(a.left(looked), b.left(looked)) })
	taken := make([][]change, len(parts))
	for k, p := range parts {
		if taken[k], err = s.together(ctx, p, into); err == nil && taken[k] != nil {
			continue
		}
		for i := range k {
			s.undo(ctx, parts[i], taken[i])
		}
		// What the others would have got is what they had looked like.
		for i, other := range parts {
			for j, at := range other.at {
				if i != k {
					into[at] = looked[at]
				} else if claims[at].Op.Max > 0 && into[at].Granted >= other.claims[j].Op.Min {
					into[at].Granted = claims[at].Op.Min
				}
			}
		}
		return err
	}
	return nil
}

// left is the smallest share of a limit that the part's claims find left.
func (p *part) left(looked []stint.Outcome) float64 {
	least := math.Inf(1)
	for i, at := range p.at {
		least = min(least, float64(looked[at].Remaining)/float64(max(1, p.claims[i].Limit.Capacity())))
	}
	return least
}

// lookAt says what each claim would get, and whether all would pass.
func (s *Store) lookAt(ctx context.Context, parts []*part, claims []stint.Claim, into []stint.Outcome) (bool, error) {
	calls := make([]*call, len(parts))
	for i, p := range parts {
		calls[i] = &call{script: readScript, keys: p.keys, args: []any{s.clock()}}
	}
	s.link.run(ctx, calls...)
	passes, times := true, int64(math.MaxInt64)
	for k, p := range parts {
		now, held, err := calls[k].records()
		if err != nil {
			return false, err
		}
		for i, at := range p.at {
			r, err := parse(held[i])
			if err != nil {
				return false, err
			}
			o, op := &into[at], claims[at].Op
			if *o, err = s.look(ctx, &r, p.claims[i].Limit, now, op); err != nil {
				return false, err
			}
			passes = passes && (o.Wait == 0 || op.Max > 0 && o.Granted >= op.Min)
			if op.Max > 0 && op.Min < op.Max {
				times = min(times, o.Granted/op.Min)
			}
		}
	}
	for i := range claims {
		if op := claims[i].Op; passes && op.Max > 0 && op.Min < op.Max {
			into[i].Granted = op.Min * times
		}
	}
	return passes, nil
}

// look is what a claim would get alone: the answer of a look, and the units that it would be granted.
func (s *Store) look(ctx context.Context, r *record.Record, l *stint.Limit, now int64, op stint.Op) (stint.Outcome, error) {
	tried := *r
	would, _ := tried.Step(l, now, op, s.earlier(ctx))
	if would.Err != nil || op.Max == 0 || would.Granted < op.Min {
		return would, would.Err
	}
	o, _ := r.Step(l, now, stint.LookOp(op.Min), s.earlier(ctx))
	o.Granted = would.Granted
	return o, o.Err
}

// undoTime is how long the giving back of what a call took may take, whatever the call's own deadline.
const undoTime = time.Second

// undo gives back what a call took: exactly, where nobody has come since, else by receipt. What cannot be given back stays charged.
func (s *Store) undo(ctx context.Context, p *part, changes []change) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	for i := range changes {
		c, l := &changes[i], p.claims[i].Limit
		if p.claims[i].Op.Max <= 0 || c.granted <= 0 {
			continue
		}
		_ = s.settle(ctx, p.keys[i:i+1], func(now int64, held []string) ([]write, error) {
			r, err := parse(held[0])
			if err != nil {
				return nil, err
			}
			changed := true
			if r.Variant == l.Variant() && r.State == c.after && c.after.Log == nil {
				r.State = c.before
			} else {
				_, changed = r.Step(l, now, stint.RefundOp(c.granted, c.now), s.earlier(ctx))
			}
			return p.plans[i].rewrite(&r, changed, now, s.slack()), nil
		})
	}
}
