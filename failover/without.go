package failover

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/stint-go/stint"
)

// without decides a claim without the store, as its limit's choice says.
func (s *Store) without(ctx context.Context, c *stint.Claim, cause error) (stint.Outcome, error) {
	choice := s.choice(c)
	kind := c.Op.Kind()
	switch {
	case kind != stint.Look && kind != stint.Grant && (kind != stint.Undo || choice != Local):
		return stint.Outcome{}, s.impossible(cause)
	case choice == Open:
		return s.open(c), nil
	case choice == Local:
		return s.local(ctx, c)
	}
	return s.refusal(), nil
}

// impossible is the error of what cannot be done without the store.
func (s *Store) impossible(cause error) error {
	s.counts.undone.Add(1)
	return fmt.Errorf("%w: %w", ErrLost, cause)
}

// choice is what holds for the claim now: the limit's choice, within Grace and where it can be carried out.
func (s *Store) choice(c *stint.Claim) Choice {
	choice, named := (*s.choices.Load())[c.Limit.ID]
	if !named {
		choice = s.options.Default
	}
	if choice == Closed {
		return Closed
	}
	if s.options.Grace > 0 {
		if lost, since, _ := s.breaker.lost(); lost && time.Since(since) > s.options.Grace {
			return Closed
		}
	}
	if choice == Local {
		if s.shares.of(c.Limit) == nil {
			return Closed
		}
		if c.Op.Kind() == stint.Grant && !s.owed.room(place{c.Limit, c.Key}, s.shares.counts) {
			s.counts.full.Add(1)
			return Closed
		}
	}
	return choice
}

// mark is that of a decision made here and now.
func mark() stint.Mark { return stint.NewMark(time.Now().UnixMicro()).Degraded() }

// refusal is Closed's outcome.
func (s *Store) refusal() stint.Outcome {
	s.counts.closed.Add(1)
	return stint.Outcome{Answer: stint.Answer{Wait: stint.Forever}, Mark: mark().Unknown()}
}

// open is Open's outcome: a new key's.
func (s *Store) open(c *stint.Claim) stint.Outcome {
	s.counts.open.Add(1)
	o := stint.Outcome{Mark: mark()}
	o.Remaining = c.Limit.Capacity()
	if c.Op.Min > o.Remaining {
		o.Wait = stint.Forever
		return o
	}
	if c.Op.Max > 0 {
		o.Granted = min(c.Op.Max, o.Remaining)
		o.Remaining -= o.Granted
	}
	return o
}

// local is Local's outcome.
func (s *Store) local(ctx context.Context, c *stint.Claim) (o stint.Outcome, err error) {
	o.Answer, o.Mark, err = s.shares.store.One(ctx, s.shares.of(c.Limit), c.Key, c.Op)
	if err != nil {
		return stint.Outcome{}, err
	}
	s.granted(c, &o)
	return o, nil
}

// granted enters what a share granted, and counts.
func (s *Store) granted(c *stint.Claim, o *stint.Outcome) {
	o.Mark = o.Mark.Degraded()
	if c.Op.Kind() != stint.Grant {
		return
	}
	if o.Granted < c.Op.Min {
		s.counts.localRefused.Add(1)
		return
	}
	s.counts.local.Add(1)
	s.owed.add(place{c.Limit, c.Key}, o.Granted)
	if s.breaker.whole() {
		poke(s.wake) // else whoever mends it settles
	}
}

// allWithout decides a call with several claims without the store: all are granted or none.
func (s *Store) allWithout(ctx context.Context, claims []stint.Claim, into []stint.Outcome, cause error) error {
	var shared []stint.Claim // on shares, and where they belong
	var at []int
	passes, times := true, int64(math.MaxInt64)
	for i := range claims {
		c, o := &claims[i], &into[i]
		if kind := c.Op.Kind(); kind != stint.Look && kind != stint.Grant {
			return s.impossible(cause)
		}
		switch s.choice(c) {
		case Local:
			shared, at = append(shared, stint.Claim{Limit: s.shares.of(c.Limit), Key: c.Key, Op: c.Op}), append(at, i)
			continue
		case Open:
			*o = s.open(c)
			if inSteps(c.Op) {
				times = min(times, o.Granted/c.Op.Min)
			}
		default:
			*o = s.refusal()
		}
		passes = passes && o.Wait == 0
	}
	outcomes := make([]stint.Outcome, len(shared))
	if err := s.allShared(ctx, shared, outcomes, passes, times); err != nil {
		return err
	}
	for k, i := range at {
		into[i] = outcomes[k]
		into[i].Mark = into[i].Mark.Degraded()
		if !grants(&claims[i], &into[i]) {
			passes = false
			s.counts.localRefused.Add(1)
		}
		if op := claims[i].Op; inSteps(op) {
			times = min(times, into[i].Granted/op.Min)
		}
	}
	if !passes {
		return nil
	}
	for _, i := range at {
		s.granted(&claims[i], &into[i])
	}
	for i := range claims {
		c, o := &claims[i], &into[i]
		if inSteps(c.Op) {
			o.Remaining += o.Granted - c.Op.Min*times
			o.Granted = c.Op.Min * times
		}
	}
	return nil
}

// inSteps says that a claim is granted a number of times its least, the same for all claims of a call.
func inSteps(op stint.Op) bool { return op.Min > 0 && op.Min < op.Max }

// grants says whether the claim's outcome lets the call pass.
func grants(c *stint.Claim, o *stint.Outcome) bool {
	if c.Op.Max == 0 {
		return o.Wait == 0
	}
	return o.Granted >= c.Op.Min
}

// allShared asks the shares, all or none. A call that cannot pass takes nothing and learns what each share would have said.
func (s *Store) allShared(ctx context.Context, claims []stint.Claim, into []stint.Outcome, passes bool, times int64) error {
	if len(claims) == 0 {
		return nil
	}
	for i := range claims {
		op := &claims[i].Op
		switch {
		case !passes:
			*op = stint.LookOp(op.Min)
		case inSteps(*op) && times < op.Max/op.Min:
			op.Max = op.Min * times
		}
	}
	if passes {
		return s.shares.store.All(ctx, claims, into)
	}
	if err := s.shares.store.Many(ctx, claims, into); err != nil {
		return err
	}
	for i := range claims {
		if into[i].Wait == 0 {
			into[i].Granted = claims[i].Op.Min
		}
	}
	return nil
}
