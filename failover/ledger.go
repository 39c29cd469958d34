package failover

import (
	"context"
	"sync"
	"time"

	"github.com/stint-go/stint"
)

// place is a key of a limit.
type place struct {
	limit *stint.Limit
	key   string
}

// ledger keeps what was granted out of the shares and is to be charged in the store.
type ledger struct {
	most int64

	mu    sync.Mutex
	units map[place]int64
	swept time.Time
}

// room says whether units of the key can be entered. At the bound it drops what no longer counts, once a second at most.
func (g *ledger) room(p place, counts func(place) int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.units[p]; known || int64(len(g.units)) < g.most {
		return true
	}
	if time.Since(g.swept) < time.Second {
		return false
	}
	g.swept = time.Now()
	for p := range g.units {
		if counts(p) == 0 {
			delete(g.units, p)
		}
	}
	return int64(len(g.units)) < g.most
}

func (g *ledger) add(p place, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.units == nil {
		g.units = make(map[place]int64)
	}
	g.units[p] += n
}

// take empties the ledger.
func (g *ledger) take() map[place]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	units := g.units
	g.units = nil
	return units
}

func (g *ledger) len() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int64(len(g.units))
}

// chargesAtOnce is how many keys are charged in one call of the store.
const chargesAtOnce = 64

// settle charges in the store what still counts in the shares. What fails is kept for the next time: it may be charged twice then,
// which errs on the refusing side.
func (s *Store) settle(ctx context.Context, inner stint.Store) error {
	units := s.owed.take()
	var claims []stint.Claim
	var failed error
	charge := func() {
		if len(claims) == 0 {
			return
		}
		if err := s.charge(ctx, inner, claims); err != nil {
			failed = err
		}
		claims = claims[:0]
	}
	for p, n := range units {
		if n = min(n, s.shares.counts(p)); n == 0 {
			continue
		}
		if failed != nil {
			s.owed.add(p, n)
			continue
		}
		claims = append(claims, stint.Claim{Limit: p.limit, Key: p.key, Op: stint.ChargeOp(n)})
		if len(claims) == chargesAtOnce {
			charge()
		}
	}
	charge()
	return failed
}

// charge charges the claims, and enters again those that failed.
func (s *Store) charge(ctx context.Context, inner stint.Store, claims []stint.Claim) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	into := make([]stint.Outcome, len(claims))
	err := inner.Many(ctx, claims, into)
	var failed error
	for i := range claims {
		c, wrong := &claims[i], err
		if wrong == nil && !answered(into[i].Err) {
			wrong = into[i].Err
		}
		if wrong != nil {
			failed = wrong
			s.owed.add(place{c.Limit, c.Key}, c.Op.Max)
			continue
		}
		s.counts.charged.Add(c.Op.Max)
	}
	return failed
}
