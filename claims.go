package stint

import (
	"context"
	"math"
	"slices"
)

// NewClaim is a claim of n units of the key of a compiled limit.
func NewClaim(l *Limit, key string, n int64) Claim {
	if n == 0 {
		return Claim{Limit: l, Key: key, Op: LookOp(1)}
	}
	return Claim{Limit: l, Key: key, Op: TakeOp(n)}
}

// TakeAll decides a call that makes several claims, each on a limit and key of its own: all are granted or none. It returns
// the decision of the strictest claim; into, if it is not nil, gets the decision of each and must have a place for each.
//
// Claims on the same limit and key are added up. A claim in shadow is decided and, if the others are granted, charged when
// it would pass; it has no say in the call.
func (l *Limiter) TakeAll(ctx context.Context, claims []Claim, into []Decision) (Decision, error) {
	return l.all(ctx, claims, into)
}

// PeekAll says what TakeAll would, and changes nothing.
func (l *Limiter) PeekAll(ctx context.Context, claims []Claim, into []Decision) (Decision, error) {
	looks := make([]Claim, len(claims))
	for i, c := range claims {
		looks[i] = c
		if c.Op.Max > 0 {
			looks[i].Op = LookOp(c.Op.Min)
		}
	}
	return l.all(ctx, looks, into)
}

// TakeUpToAll takes the same number of times, at most k, the cost of every claim: the largest number that all of them admit.
// The decision's Granted says how often, of into each its units.
func (l *Limiter) TakeUpToAll(ctx context.Context, claims []Claim, k int64, into []Decision) (Decision, error) {
	if k < 0 {
		return Decision{}, ErrNegativeCost
	}
	if k == 0 {
		return l.PeekAll(ctx, claims, into)
	}
	scaled := make([]Claim, len(claims))
	for i, c := range claims {
		scaled[i] = c
		if n := c.Op.Min; c.Op.Max > 0 {
			scaled[i].Op = Op{Min: n, Max: n * min(k, math.MaxInt64/n)}
		}
	}
	d, err := l.all(ctx, scaled, into)
	if d.Allowed && len(claims) > 0 && d.Granted > 0 {
		for i, c := range claims {
			if d.By == c.Limit && d.key == c.Key {
				d.Granted /= max(1, claims[i].Op.Min)
				break
			}
		}
	}
	return d, err
}

func (l *Limiter) all(ctx context.Context, claims []Claim, into []Decision) (d Decision, err error) {
	if into != nil && len(into) != len(claims) {
		return Decision{}, ErrBatch
	}
	for i := range claims {
		if err := check(claims[i].Key, claims[i].Op.Min); err != nil {
			return Decision{}, l.failed(ctx, claims[i].Key, claims[i].Op.Min, err)
		}
	}
	if len(claims) == 1 && !claims[0].Shadow && l.queue.idle() {
		err = l.doOne(ctx, claims[0].Limit, claims[0].Key, claims[0].Op, claims[0].Op.Min, &d)
		if into != nil {
			into[0] = d
		}
		return d, err
	}
	if !l.queue.idle() && l.overtakes(claims) {
		d, err = l.PeekAll(ctx, claims, into)
		d.standBehind()
		for i := range into {
			into[i].standBehind()
		}
		return d, err
	}
	s := l.scratch.Get().(*scratch)
	defer l.scratch.Put(s)
	s.reset(len(claims))
	if s.claims, err = enforced(s.claims, claims); err != nil {
		return Decision{}, l.failed(ctx, claims[0].Key, claims[0].Op.Min, err)
	}
	d = Decision{Allowed: true, Reason: Skipped}
	if len(s.claims) > 0 {
		strictest, err := l.doAll(ctx, s.claims, s.outcomes, s.decisions)
		if err != nil {
			return Decision{}, err
		}
		d = s.decisions[strictest]
	}
	if into == nil {
		into = s.shadows(len(claims))
	}
	for i := range claims {
		c := &claims[i]
		if c.Shadow {
			if err := l.shadow(ctx, c, d.Allowed, &into[i]); err != nil {
				return Decision{}, err
			}
			continue
		}
		for k := range s.claims {
			if s.claims[k].Limit == c.Limit && s.claims[k].Key == c.Key {
				into[i] = s.decisions[k]
			}
		}
	}
	return d, nil
}

// overtakes says whether a claim takes from a key that somebody waits for under this limiter's limits.
func (l *Limiter) overtakes(claims []Claim) bool {
	limits := *l.limits.Load()
	for i := range claims {
		c := &claims[i]
		if c.Op.Max > 0 && slices.Contains(limits, c.Limit) && l.queue.waits(c.Key) {
			return true
		}
	}
	return false
}

// enforced appends the claims that have a say, those on the same limit and key added up.
func enforced(into, claims []Claim) ([]Claim, error) {
next:
	for _, c := range claims {
		if c.Shadow {
			continue
		}
		for k := range into {
			same := &into[k]
			if same.Limit != c.Limit || same.Key != c.Key {
				continue
			}
			if c.Op.Max == 0 { // a look beside a take
				continue next
			}
			if same.Op.Max == 0 {
				same.Op = c.Op
				continue next
			}
			if c.Op.Max > math.MaxInt64-same.Op.Max || c.Op.Min > math.MaxInt64-same.Op.Min {
				return nil, c.Limit.errorf("costs that add up to more than 2^63 units; ask for less")
			}
			same.Op.Min += c.Op.Min
			same.Op.Max += c.Op.Max
			continue next
		}
		into = append(into, c)
	}
	return into, nil
}

// shadow decides a claim that is only tried out. What it would refuse is let pass and marked.
func (l *Limiter) shadow(ctx context.Context, c *Claim, admitted bool, into *Decision) error {
	op := c.Op
	if !admitted && op.Max > 0 {
		op = LookOp(op.Min)
	}
	err := l.doOne(ctx, c.Limit, c.Key, op, c.Op.Min, into)
	if err == nil && !into.Allowed {
		into.Allowed, into.Reason, into.RetryAfter = true, Shadowed, 0
	}
	return err
}

// doAll decides claims together, puts their decisions into decisions and says which is the strictest.
func (l *Limiter) doAll(ctx context.Context, claims []Claim, outcomes []Outcome, decisions []Decision) (int, error) {
	outcomes = outcomes[:len(claims)]
	if err := l.store.All(ctx, claims, outcomes); err != nil {
		return 0, l.failed(ctx, claims[0].Key, claims[0].Op.Min, err)
	}
	strictest := 0
	for i := range claims {
		c := &claims[i]
		decisions[i].fill(c.Limit, c.Key, c.Op, outcomes[i].Answer, outcomes[i].Mark)
		if i > 0 && decisions[i].Stricter(&decisions[strictest]) {
			strictest = i
		}
	}
	allowed := decisions[strictest].Allowed
	for i := range claims {
		d := &decisions[i]
		if !allowed {
			d.Granted, d.nonce = 0, 0
		}
		if l.observers != nil {
			l.observe(ctx, claims[i].Key, claims[i].Op.Min, *d, nil)
		}
	}
	return strictest, nil
}

// Call is one call of a batch: N units of Key.
type Call struct {
	Key string
	N   int64
}

// Result is the decision of one call of a batch, or the error in its place.
type Result struct {
	Decision
	Err error
}

// TakeMany decides many independent calls, one after the other, in one go: each is granted or refused by itself, and an error
// spoils only its own. It is the fastest way to decide much at once. into must have a place for each call.
func (l *Limiter) TakeMany(ctx context.Context, calls []Call, into []Result) error {
	if len(into) != len(calls) {
		return ErrBatch
	}
	limits := *l.limits.Load()
	if len(limits) != 1 || !l.queue.idle() {
		for i, c := range calls {
			into[i].Decision, into[i].Err = l.Take(ctx, c.Key, c.N)
		}
		return nil
	}
	s := l.scratch.Get().(*scratch)
	defer l.scratch.Put(s)
	for first := 0; first < len(calls); first += batchSize {
		n := min(batchSize, len(calls)-first)
		l.takeMany(ctx, limits[0], s, calls[first:first+n], into[first:first+n])
	}
	return nil
}

// batchSize is how many calls go to the store at once: enough to overlap their cache misses, few enough to stay in the cache.
const batchSize = 64

func (l *Limiter) takeMany(ctx context.Context, limit *Limit, s *scratch, calls []Call, into []Result) {
	s.reset(max(len(calls), batchSize))
	for _, c := range calls {
		s.claims = append(s.claims, NewClaim(limit, c.Key, max(c.N, 0)))
	}
	outcomes := s.outcomes[:len(calls)]
	err := l.store.Many(ctx, s.claims, outcomes)
	for i := range calls {
		c, o, r := &s.claims[i], &outcomes[i], &into[i]
		if r.Err = err; err == nil {
			r.Err = o.Err
		}
		if r.Err == nil {
			r.Err = check(calls[i].Key, calls[i].N)
		}
		if r.Err != nil {
			r.Decision = Decision{}
		} else {
			r.fill(limit, c.Key, c.Op, o.Answer, o.Mark)
		}
		if l.observers != nil {
			l.observe(ctx, c.Key, calls[i].N, r.Decision, r.Err)
		}
	}
}
