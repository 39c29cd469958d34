package limittest

import (
	"context"
	"time"

	"github.com/stint-go/stint"
)

// pureAccounts replay on strategies alone.
type pureAccounts struct {
	limits []*stint.Limit
	keys   map[string][]*rig
}

func (p *pureAccounts) open(limits []stint.Limit) error {
	if p.limits != nil {
		return errLater("changing a limit is the store's")
	}
	p.keys = map[string][]*rig{}
	for _, l := range limits {
		c, err := l.Compile()
		if err != nil {
			return err
		}
		p.limits = append(p.limits, c)
	}
	return nil
}

func (p *pureAccounts) block(int64, string, time.Duration) error {
	return errLater("blocking is the store's")
}

func (p *pureAccounts) all(now int64, key string, ops []stint.Op) ([]stint.Answer, error) {
	rigs := p.keys[key]
	if rigs == nil {
		for _, l := range p.limits {
			rigs = append(rigs, newRig(l, true))
		}
		p.keys[key] = rigs
	}
	answers := make([]stint.Answer, len(ops))
	granted, units := true, stint.Forever
	for i, op := range ops {
		answers[i] = rigs[i].try(now, op)
		granted = granted && !refused(op, answers[i])
		units = min(units, answers[i].Granted)
	}
	for i, op := range ops {
		rigs[i].now = now
		switch {
		case op.Kind() != stint.Grant:
			answers[i] = rigs[i].apply(op)
		case granted && op.Min < op.Max:
			answers[i] = rigs[i].apply(stint.TakeOp(units))
		case granted:
			answers[i] = rigs[i].apply(op)
		case answers[i].Granted > 0:
			alone := answers[i].Granted
			answers[i] = rigs[i].try(now, stint.LookOp(1))
			answers[i].Granted = alone
		}
	}
	return answers, nil
}

// storeAccounts replay on a store.
type storeAccounts struct {
	shelf  *shelf
	store  stint.Store
	clock  *Clock
	limits []*stint.Limit
	prefix string
}

func (a *storeAccounts) open(limits []stint.Limit) error {
	if a.prefix == "" {
		a.prefix = a.shelf.named(stint.Limit{}).ID
	}
	a.limits = nil
	for _, l := range limits {
		c, err := l.WithID(a.prefix + l.ID).Compile()
		if err != nil {
			return err
		}
		a.limits = append(a.limits, c)
	}
	return nil
}

// name is a key of the trace; some have none.
func name(key string) string { return "key " + key }

func (a *storeAccounts) block(now int64, key string, d time.Duration) error {
	a.clock.Set(now)
	for _, l := range a.limits {
		if err := a.store.Block(context.Background(), l, name(key), d); err != nil {
			return err
		}
	}
	return nil
}

func (a *storeAccounts) all(now int64, key string, ops []stint.Op) ([]stint.Answer, error) {
	a.clock.Set(now)
	ctx, together := context.Background(), true
	answers := make([]stint.Answer, len(ops))
	for _, op := range ops {
		together = together && op.Kind() == stint.Grant
	}
	if together && len(ops) > 1 {
		claims, into := make([]stint.Claim, len(ops)), make([]stint.Outcome, len(ops))
		for i, op := range ops {
			claims[i] = stint.Claim{Limit: a.limits[i], Key: name(key), Op: op}
		}
		err := a.store.All(ctx, claims, into)
		for i := range into {
			answers[i] = into[i].Answer
		}
		return answers, err
	}
	for i, op := range ops {
		var err error
		if op.Kind() == stint.Refund {
			if _, _, err = a.store.Refund(ctx, a.limits[i], name(key), op, a.shelf.nonce()); err == nil {
				answers[i], _, err = a.store.One(ctx, a.limits[i], name(key), stint.LookOp(1))
			}
		} else {
			answers[i], _, err = a.store.One(ctx, a.limits[i], name(key), op)
		}
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}
