package redisstore

import (
	"context"
	"sync"

	"github.com/stint-go/stint"
)

// AllInTurn implements [stint.CallStore]. All calls go in one round trip: in one call of the script, or on a Cluster in one for each
// slot, as long as there is room. Those that no script can decide as a whole go alone, and so do those behind them on their keys.
func (s *Store) AllInTurn(ctx context.Context, claims []stint.Claim, ends []int, into []stint.Outcome) error {
	ctx, cancel := s.link.bounded(ctx)
	defer cancel()
	for first := 0; len(ends) > 0; {
		n, err := s.round(ctx, claims, first, ends, into)
		if err != nil {
			fail(into[first:], err)
			return nil
		}
		first, ends = ends[n-1], ends[n:]
	}
	return nil
}

// round decides the first calls, whose claims lie from first on, as many as fit, and says how many.
func (s *Store) round(ctx context.Context, claims []stint.Claim, first int, ends []int, into []stint.Outcome) (int, error) {
	var deals []*deal
	open := map[uint16]*deal{}
	var alone []span
	var keys map[string]bool // of those that go alone
	done := 0
	for _, end := range ends {
		at := span{first, end}
		parts, err := s.parts(ctx, claims[at.first:at.end])
		if err != nil {
			return done, err
		}
		if len(parts) == 1 && !parts[0].touches(keys) {
			if groups, ok := parts[0].groups(s, at.first); ok {
				place := parts[0].slot
				d := open[place]
				if d == nil {
					d = new(deal)
					deals = append(deals, d)
					open[place] = d
				}
				if !d.join(parts[0].claims, groups) {
					break
				}
				first = end
				done++
				continue
			}
		}
		if len(parts) > 0 {
			alone = append(alone, at)
		}
		for _, p := range parts {
			for _, key := range p.keys {
				if keys == nil {
					keys = make(map[string]bool)
				}
				keys[key] = true
			}
		}
		first = end
		done++
	}
	calls := make([]*call, len(deals))
	for i, d := range deals {
		calls[i] = d.call(s.clock(), allOrNone)
	}
	if len(calls) > 0 {
		s.link.run(ctx, calls...)
	}
	var left []span
	for i, d := range deals {
		toGo, decided := d.answerCalls(calls[i], into)
		left = append(left, toGo...)
		s.stats.byScript.Add(decided)
	}
	s.alone(ctx, append(left, alone...), claims, into)
	return done, nil
}

// alone decides calls one by one where they share a key, else beside each other.
func (s *Store) alone(ctx context.Context, calls []span, claims []stint.Claim, into []stint.Outcome) {
	var wg sync.WaitGroup
	places := make(chan struct{}, aloneAtOnce)
	last := map[string]chan struct{}{} // by a key, closed when the last call on it is done
	for _, at := range calls {
		mine, outcomes := claims[at.first:at.end], into[at.first:at.end]
		done := make(chan struct{})
		var ahead []chan struct{}
		for _, c := range mine {
			key := recordKey(c.Limit.ID, c.Key)
			if other := last[key]; other != nil {
				ahead = append(ahead, other)
			}
			last[key] = done
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			defer close(done)
			for _, other := range ahead {
				<-other
			}
			if err := s.All(ctx, mine, outcomes); err != nil {
				fail(outcomes, err)
			}
		})
	}
	wg.Wait()
}

// aloneAtOnce is how many calls go alone at once.
const aloneAtOnce = 64

// span is where the claims of one call are among those of several.
type span struct{ first, end int }

func fail(into []stint.Outcome, err error) {
	for i := range into {
		into[i] = stint.Outcome{Err: err}
	}
}

// answerCalls puts into the outcomes what the script says to the deal, and returns the calls that it left to Go, and of how many keys
// it decided.
func (d *deal) answerCalls(c *call, into []stint.Outcome) (left []span, decided int64) {
	a, err := d.read(c)
	for _, x := range d.sets {
		failure, ok := err, true
		if err == nil {
			_, ok, failure = x.calls.answer(&a, into)
		}
		groups := x.calls.groups
		switch {
		case failure != nil:
			for _, g := range groups {
				g.fail(failure, into)
			}
		case !ok:
			for _, first := range groups[0].steps[0].claims {
				left = append(left, span{first, first + len(groups)})
			}
		default:
			decided += int64(len(groups))
		}
	}
	return left, decided
}
