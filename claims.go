package stint

import (
	"context"
	"math"
	"math/rand/v2"
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
	once := int64(1)
	for i := range claims {
		c := &claims[i]
		if err := c.check(); err != nil {
			return Decision{}, l.failed(ctx, c.Key, c.Op.Min, err)
		}
		if c.Op.Max > 0 {
			once += min(c.Op.Min, math.MaxInt64-once)
		}
	}
	k = min(k, math.MaxInt64/once) // so that no product or sum overflows
	scaled := make([]Claim, len(claims))
	for i, c := range claims {
		scaled[i] = c
		if c.Op.Max > 0 {
			scaled[i].Op.Max = c.Op.Min * k
		}
	}
	if into == nil {
		into = make([]Decision, len(claims))
	}
	d, err := l.all(ctx, scaled, into)
	if d.Allowed {
		d.Granted = 0
		for i := range scaled {
			if c := &scaled[i]; c.Op.Max > 0 && !c.Shadow {
				d.Granted = times(scaled, c, into[i].Granted)
				break
			}
		}
	}
	return d, err
}

// times is how often the claim was granted whose limit and key were granted so many units in all.
func times(claims []Claim, c *Claim, granted int64) int64 {
	once := int64(0)
	for i := range claims {
		if other := &claims[i]; !other.Shadow && other.Op.Max > 0 && other.same(c) {
			once += other.Op.Min
		}
	}
	return granted / once
}

// same says whether two claims are on the same limit and key.
func (c *Claim) same(other *Claim) bool {
	return c.Key == other.Key && (c.Limit == other.Limit || c.Limit.ID == other.Limit.ID)
}

// check says what is wrong with a claim.
func (c *Claim) check() error {
	if c.Op.Max > 0 && (c.Op.Min < 1 || c.Op.Min > c.Op.Max) {
		return c.Limit.errorf("a claim of %d to %d units; make its Op with TakeOp, UpToOp or the like", c.Op.Min, c.Op.Max)
	}
	return check(c.Key, c.Op.Min)
}

func (l *Limiter) all(ctx context.Context, claims []Claim, into []Decision) (d Decision, err error) {
	if into != nil && len(into) != len(claims) {
		return Decision{}, ErrBatch
	}
	for i := range claims {
		if err := claims[i].check(); err != nil {
			return Decision{}, l.failed(ctx, claims[i].Key, claims[i].Op.Min, err)
		}
	}
	if len(claims) == 1 && !claims[0].Shadow && !claims[0].Op.inSteps() && l.queue.idle() {
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
			if err := l.shadow(ctx, c, d.Allowed, s, &into[i]); err != nil {
				return Decision{}, err
			}
			continue
		}
		for k := range s.claims {
			if s.claims[k].same(c) {
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
			if !same.same(&c) {
				continue
			}
			if same.Limit.variant != c.Limit.variant {
				return nil, c.Limit.errorf("is given twice with different values; one call cannot charge the same count for both")
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

// shadow decides a claim that is only tried out beside those of s. What it would refuse is let pass and marked.
func (l *Limiter) shadow(ctx context.Context, c *Claim, admitted bool, s *scratch, into *Decision) error {
	op := c.Op
	if op.inSteps() {
		op = TakeOp(op.Min)
		for k := range s.claims {
			if enforced := &s.claims[k]; enforced.Op.inSteps() && admitted {
				op = TakeOp(c.Op.Min * (s.decisions[k].Granted / enforced.Op.Min))
			}
		}
	}
	if !admitted && op.Max > 0 {
		op = LookOp(op.Min)
	}
	err := l.doOne(ctx, c.Limit, c.Key, op, c.Op.Min, into)
	if err == nil && !into.Allowed {
		if into.RetryAfter != Unknown { // else the limit has not refused it: nobody could ask
			into.Reason = Shadowed
		}
		into.Allowed, into.RetryAfter = true, 0
	}
	return err
}

// allowAll is Allow for a few limits on a memory store that nobody watches: yes or no needs no decisions. It says whether it was
// asked.
func (l *Limiter) allowAll(key string, n int64) (granted, asked bool) {
	m, ok := l.store.(*Memory)
	limits := *l.limits.Load()
	if !ok || l.observers != nil || len(limits) < 2 || len(limits) > fewClaims {
		return false, false
	}
	var claims [fewClaims]Claim
	var outcomes [fewClaims]Outcome
	for i, limit := range limits {
		claims[i] = Claim{Limit: limit, Key: key, Op: Op{n, n, 0}}
	}
	if m.All(context.Background(), claims[:len(limits)], outcomes[:len(limits)]) != nil {
		return false, true
	}
	for i := range limits {
		if outcomes[i].Granted < n {
			return false, true
		}
	}
	return true, true
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
		decisions[i].fill(c.Limit, c.Key, c.Op, outcomes[i].Answer, outcomes[i].Mark, rand.Uint64())
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

// AllowMany says of each key whether one unit is granted, and takes it: the fastest way to decide much at once where yes and no
// are enough. into must have a place for each key.
func (l *Limiter) AllowMany(keys []string, into []bool) error {
	if len(into) != len(keys) {
		return ErrBatch
	}
	p := l.plain.Load()
	if p == nil || !l.queue.idle() {
		for i, key := range keys {
			into[i] = l.Allow(key)
		}
		return nil
	}
	for first := 0; first < len(keys); first += batchSize {
		n := min(batchSize, len(keys)-first)
		if err := p.memory.allowMany(p.limit, keys[first:first+n], into[first:first+n]); err != nil {
			return err
		}
	}
	return nil
}

func (l *Limiter) takeMany(ctx context.Context, limit *Limit, s *scratch, calls []Call, into []Result) {
	if m, ok := l.store.(*Memory); ok && l.observers == nil {
		if err := m.takeMany(limit, calls, into); err != nil {
			for i := range into {
				into[i] = Result{Err: err}
			}
		}
		return
	}
	s.reset(max(len(calls), batchSize))
	for _, c := range calls {
		s.claims = append(s.claims, NewClaim(limit, c.Key, max(c.N, 0)))
	}
	l.decideEach(ctx, s, s.claims, into)
	for i := range calls {
		if calls[i].N < 0 {
			into[i] = Result{Err: ErrNegativeCost}
		}
	}
}

// TakeEach decides many independent claims, on whatever limits and keys, one after the other, in one go: each is granted or refused by
// itself, and an error spoils only its own. Whether a claim is in shadow makes no difference. into must have a place for each claim.
func (l *Limiter) TakeEach(ctx context.Context, claims []Claim, into []Result) error {
	if len(into) != len(claims) {
		return ErrBatch
	}
	s := l.scratch.Get().(*scratch)
	defer l.scratch.Put(s)
	for first := 0; first < len(claims); first += batchSize {
		n := min(batchSize, len(claims)-first)
		if part, results := claims[first:first+n], into[first:first+n]; l.queue.idle() || !l.overtakes(part) {
			s.reset(batchSize)
			l.decideEach(ctx, s, part, results)
			continue
		}
		for i := first; i < first+n; i++ {
			into[i].Decision, into[i].Err = l.TakeAll(ctx, claims[i:i+1], nil)
		}
	}
	return nil
}

// decideEach decides claims one by one, in one call of the store.
func (l *Limiter) decideEach(ctx context.Context, s *scratch, claims []Claim, into []Result) {
	for i := range claims {
		if into[i].Err = claims[i].check(); into[i].Err != nil {
			l.decideRest(ctx, claims, into)
			return
		}
	}
	outcomes := s.outcomes[:len(claims)]
	err := l.store.Many(ctx, claims, outcomes)
	for i := range claims {
		c, o, r := &claims[i], &outcomes[i], &into[i]
		if r.Err = err; err == nil {
			r.Err = o.Err
		}
		if r.Err != nil {
			r.Decision = Decision{}
		} else {
			r.fill(c.Limit, c.Key, c.Op, o.Answer, o.Mark, rand.Uint64())
		}
		if l.observers != nil {
			l.observe(ctx, c.Key, c.Op.Min, r.Decision, r.Err)
		}
	}
}

// decideRest is decideEach where a claim is wrong, which no store is to see.
func (l *Limiter) decideRest(ctx context.Context, claims []Claim, into []Result) {
	for i := range claims {
		into[i].Decision, into[i].Err = l.TakeAll(ctx, claims[i:i+1], nil)
	}
}
