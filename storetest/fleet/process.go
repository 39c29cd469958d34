package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/lease"
)

// process is one of the fleet: a limiter on a store of leases around the wire to the shared store.
type process struct {
	number  int
	name    string
	seed    uint64
	born    time.Time // of the run, not of the process
	crashed chan struct{}

	leases  *lease.Store
	limiter *stint.Limiter
	limits  []*stint.Limit
	callers sync.WaitGroup

	mu     sync.Mutex
	grants []*grant
}

// grant is units that a process granted to a caller.
type grant struct {
	limit *stint.Limit
	key   string
	at    int64 // the store's instant of the call, or of the charge if that came later: the call went to the store then
	units int64
	taken int64 // all that was granted, before anything was given back; 0 if the store was not asked
}

func (r *run) start(number, life int) (*process, error) {
	p := &process{
		number: number, name: fmt.Sprint(number, "-", life), seed: r.plan.Seed, born: r.born, crashed: make(chan struct{}),
	}
	o := lease.Options{Life: r.plan.Life, MaxBlock: r.plan.MaxBlock, CloseWithin: 10 * time.Second}
	random := rand.New(rand.NewPCG(p.seed, uint64(number)<<32|uint64(life)))
	if r.plan.Faults.Drift {
		offset, millionths := random.Int64N(1e12), random.Int64N(1801)-900
		o.Clock = func() int64 {
			elapsed := time.Since(r.born).Microseconds()
			return offset + elapsed + elapsed*millionths/1_000_000
		}
	}
	var inner stint.Store = &wire{process: p, depot: r.depot, faults: &r.plan.Faults}
	var err error
	if r.plan.Failover != nil {
		if inner, err = failover.New(inner, *r.plan.Failover); err != nil {
			return nil, err
		}
	}
	if p.leases, err = lease.New(inner, o); err != nil {
		return nil, err
	}
	if p.limiter, err = stint.NewWith(stint.Options{Store: p.leases}, r.plan.Limits...); err != nil {
		return nil, err
	}
	p.limits = p.limiter.Limits()
	for i := range r.plan.Callers {
		p.callers.Go(func() {
			r.call(p, rand.New(rand.NewPCG(p.seed^uint64(i+1), uint64(number)<<32|uint64(life))))
		})
	}
	return p, nil
}

func (p *process) dead() bool {
	select {
	case <-p.crashed:
		return true
	default:
		return false
	}
}

// crash ends a process where it stands. What it holds is stranded, at most a block for each key, and what calls have put back: to
// close its leases stops their goroutines, and reaches nobody.
func (r *run) crash(p *process) error {
	close(p.crashed)
	p.callers.Wait()
	st, most := p.leases.Stats(), r.plan.MaxBlock*int64(len(p.limits)*r.plan.Keys)+mostCost*int64(r.plan.Callers)
	if err := p.leases.Close(); err != nil {
		return fmt.Errorf("close of a crashed process: %w", err)
	}
	if st.Held > most {
		return fmt.Errorf("process %s crashed with %d units held, at most %d are allowed: %+v", p.name, st.Held, most, st)
	}
	return nil
}

// pause waits for up to so long. It is false when the calls are to end.
func (r *run) pause(p *process, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return time.Since(r.born) < r.plan.Lasts
	case <-p.crashed:
		return false
	}
}

// settle is between two calls of a hurried caller: what goes on beside has its turn, so that a run can be repeated.
const settle = time.Microsecond

// call is a caller, until the run's calls end or the process does.
func (r *run) call(p *process, random *rand.Rand) {
	if len(r.plan.Storms) > 0 {
		r.storms(p, random)
		return
	}
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d) + 1)) }
	for r.pause(p, upTo(r.plan.Life)) {
		key := fmt.Sprint("key", random.IntN(r.plan.Keys))
		for range random.IntN(60) {
			r.once(p, random, key)
			time.Sleep(settle)
			if random.IntN(4) == 0 && !r.pause(p, upTo(2*r.plan.Pause)) || p.dead() {
				break
			}
		}
	}
}

// storms is a caller that lives through the plan's storms.
func (r *run) storms(p *process, random *rand.Rand) {
	const key, few = "key0", 50 * time.Microsecond
	edge := int64(r.plan.Limits[0].Per)
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d) + 1)) }
	for _, storm := range r.plan.Storms {
		grow, begins := r.born.Add(storm.grow), r.born.Add(storm.at)
		if storm.edge {
			begins = begins.Add(time.Duration(edge - r.depot.at(begins).UnixNano()%edge - int64(time.Millisecond)))
		}
		if time.Until(begins) < 0 {
			continue // before this process began
		}
		if !r.pause(p, time.Until(grow)) {
			return
		}
		for calls := int64(0); calls < 4*r.plan.MaxBlock && p.leases.Stats().Held < r.plan.MaxBlock*7/8; calls++ {
			if r.one(p, key, 1); !r.pause(p, settle+upTo(few)) {
				return
			}
		}
		for time.Until(begins) > 0 {
			if !r.pause(p, min(time.Until(begins), r.plan.Life/8+upTo(r.plan.Life/16))) {
				return
			}
			if time.Until(begins) > 0 {
				r.one(p, key, 1)
			}
		}
		for refusals := 0; refusals < 3; {
			if !r.one(p, key, 1) {
				refusals++
			}
			if !r.pause(p, settle+upTo(few)) {
				return
			}
		}
	}
}

// one takes n units under the first limit.
func (r *run) one(p *process, key string, n int64) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	begun := r.depot.clock()
	claims := [1]stint.Claim{stint.NewClaim(p.limits[0], key, n)}
	d, err := p.limiter.TakeAll(ctx, claims[:], nil)
	if err != nil || !d.Allowed {
		return false
	}
	r.granted(p, &d, key, begun)
	return true
}

// mostCost is the most that a call costs, and one more.
const mostCost = 8

// once is one call.
func (r *run) once(p *process, random *rand.Rand, key string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+random.Int64N(int64(2*time.Second))))
	defer cancel()
	limit := p.limits[random.IntN(len(p.limits))]
	n := int64(1)
	if random.IntN(5) == 0 {
		n += random.Int64N(mostCost)
	}
	claims := []stint.Claim{stint.NewClaim(limit, key, n)}
	begun := r.depot.clock()
	switch kind := random.IntN(20); {
	case kind == 0: // up to n
		claims[0].Op = stint.UpToOp(n)
	case kind == 1:
		claims[0].Op = stint.LookOp(n)
	case kind < 5 && len(p.limits) > 1: // all or none
		claims = append(claims, stint.NewClaim(p.limits[0], key, 1), stint.NewClaim(p.limits[1], key, 1))
	case kind == 5:
		r.batch(ctx, p, random, limit, begun)
		return
	}
	into := make([]stint.Decision, len(claims))
	d, err := p.limiter.TakeAll(ctx, claims, into)
	if err != nil || !d.Allowed {
		return
	}
	var granted []*grant
	for i := range into {
		// Claims on one limit were added up, and have the same decision.
		if i == 0 || into[i].By != into[0].By {
			granted = append(granted, r.granted(p, &into[i], key, begun)...)
		}
	}
	if len(granted) == 1 && random.IntN(10) == 0 {
		r.regret(ctx, p, random, &into[0], granted[0])
	}
}

// batch is a call of many takes.
func (r *run) batch(ctx context.Context, p *process, random *rand.Rand, limit *stint.Limit, begun int64) {
	claims := make([]stint.Claim, 1+random.IntN(6))
	for i := range claims {
		claims[i] = stint.NewClaim(limit, fmt.Sprint("key", random.IntN(r.plan.Keys)), 1+random.Int64N(2))
	}
	into := make([]stint.Outcome, len(claims))
	if err := p.leases.Many(ctx, claims, into); err != nil {
		return
	}
	for i := range into {
		if o := &into[i]; o.Err == nil && o.Granted > 0 && o.Mark == o.Mark.Degraded() {
			r.alone(p, limit, claims[i].Key, o.Granted)
		} else if o.Err == nil && o.Granted > 0 {
			r.grant(p, limit, claims[i].Key, o.Granted, o.Mark.At(), begun)
		}
	}
}

// granted records a decision.
func (r *run) granted(p *process, d *stint.Decision, key string, begun int64) []*grant {
	receipt, ok := d.Receipt()
	if !ok {
		if d.Reason == stint.Degraded && d.Granted > 0 {
			r.alone(p, d.By, key, d.Granted)
		}
		return nil
	}
	return []*grant{r.grant(p, d.By, key, receipt.N, receipt.At, begun)}
}

func (r *run) grant(p *process, l *stint.Limit, key string, n, charged, begun int64) *grant {
	g := &grant{limit: l, key: key, at: max(begun, charged), units: n, taken: n}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants = append(p.grants, g)
	return g
}

// alone records what a process granted without the store, at the instant of its decision.
func (r *run) alone(p *process, l *stint.Limit, key string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants = append(p.grants, &grant{limit: l, key: key, at: r.depot.clock(), units: n})
}

// regret gives a grant back, some time later.
func (r *run) regret(ctx context.Context, p *process, random *rand.Rand, d *stint.Decision, g *grant) {
	time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
	receipt, _ := d.Receipt()
	n, err := p.limiter.Refund(ctx, receipt)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch _, bucket := g.limit.Strategy.(stint.TokenBucket); {
	case err != nil:
		g.units = 0 // perhaps: whoever asked does not know
	case bucket && n < g.units:
		g.units -= n + 1 // the store takes back fractions of a unit, and says the whole ones
	default:
		g.units -= n
	}
}
