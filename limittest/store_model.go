package limittest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stint-go/stint"
	"pgregory.net/rapid"
)

// subject is one key of one limit in a store, beside its model.
type subject struct {
	script
	key     string
	model   Model
	settled bool  // the model was as good as new at some instant since its last write: the store may have forgotten the key
	reset   int64 // the last reset, which voids the receipts of its own tick, too
}

// reference is what a store is held to: the exact model, or the strategy itself where there is none.
func reference(l *stint.Limit) Model {
	if m := NewModel(l); m != nil {
		return m
	}
	return &strategyModel{newRig(l, false)}
}

// strategyModel is a strategy as its own model.
type strategyModel struct{ rig *rig }

func (m *strategyModel) Clone() Model { return &strategyModel{m.rig.clone()} }

func (m *strategyModel) Apply(now int64, op stint.Op) stint.Answer {
	m.rig.now = now
	return m.rig.apply(op)
}

// crowd drives several keys of several limits through one random trace.
type crowd struct {
	store    stint.Store
	clock    *Clock
	subjects []*subject
	nonce    func() uint64
	kinds    kinds
	each     func(s *subject, now int64, op stint.Op, a stint.Answer)
}

// newCrowd draws one to three limits with one to three keys each.
func newCrowd(t *rapid.T, s *shelf, store stint.Store, clock *Clock, k kinds) *crowd {
	c := &crowd{store: store, clock: clock, kinds: k, nonce: s.nonce}
	for range rapid.IntRange(1, 3).Draw(t, "limits") {
		strategy := rapid.SampledFrom(s.Strategies).Draw(t, "strategy")
		limits := slices.DeleteFunc(usual(strategy), func(l *stint.Limit) bool { return !countsExactly(l) })
		limit := s.compiled(t, *limits[rapid.IntRange(0, len(limits)-1).Draw(t, "limit")])
		for i := range rapid.IntRange(1, 3).Draw(t, "keys") {
			c.subjects = append(c.subjects, &subject{
				script: script{limit: limit, books: booksAhead(limit.Strategy)}, key: fmt.Sprint("key", i), model: reference(limit),
			})
		}
	}
	return c
}

func (c *crowd) pick(t *rapid.T) *subject {
	return c.subjects[rapid.IntRange(0, len(c.subjects)-1).Draw(t, "subject")]
}

// walk is a random trace.
func (c *crowd) walk(t *rapid.T) {
	op := func(t *rapid.T) { s := c.pick(t); c.do(t, s, s.op(t, c.kinds)) }
	actions := map[string]func(*rapid.T){"op": op, "op2": op, "all": c.all}
	if c.clock != nil { // time moves by itself on the store's own clock
		actions["time"] = func(t *rapid.T) { c.clock.Set(c.pick(t).move(t, c.clock.Now(), c.kinds)); c.settle() }
	}
	t.Repeat(actions)
}

// instant is when the store answered: as the clock says, or as the store does where it has one of its own.
func (c *crowd) instant(m stint.Mark) int64 {
	if c.clock != nil {
		return c.clock.Now()
	}
	return m.At()
}

// settle notes which keys the store may forget.
func (c *crowd) settle() {
	for _, s := range c.subjects {
		if s.model.Apply(c.clock.Now(), stint.LookOp(1)).Reset == 0 {
			s.settled = true
		}
	}
}

// do does op on the store and shows the answer to each.
func (c *crowd) do(t *rapid.T, s *subject, op stint.Op) {
	var a stint.Answer
	var mark stint.Mark
	var err error
	if op.Kind() == stint.Refund {
		a, mark, err = c.store.Refund(context.Background(), s.limit, s.key, op, c.nonce())
	} else {
		a, mark, err = c.store.One(context.Background(), s.limit, s.key, op)
	}
	if err != nil {
		t.Fatalf("%s: %s: %v", showLimit(s.limit), show(op), err)
	}
	s.did(c.instant(mark), op, a)
	c.each(s, c.instant(mark), op, a)
}

// all makes a call with a claim on some of the keys, and shows each the answer it would have got alone.
func (c *crowd) all(t *rapid.T) {
	order := rapid.Permutation(c.subjects).Draw(t, "order")
	order = order[:rapid.IntRange(1, len(order)).Draw(t, "claims")]
	claims := make([]stint.Claim, len(order))
	for i, s := range order {
		claims[i] = stint.Claim{Limit: s.limit, Key: s.key, Op: stint.TakeOp(max(1, s.cost(t)))}
	}
	into := make([]stint.Outcome, len(claims))
	if err := c.store.All(context.Background(), claims, into); err != nil {
		t.Fatalf("all: %v", err)
	}
	granted := true
	for i := range claims {
		granted = granted && into[i].Granted >= claims[i].Op.Min
	}
	for i, s := range order {
		op := claims[i].Op
		if !granted {
			if into[i].Granted >= op.Min {
				continue // alone it would have passed; nothing is charged
			}
		}
		s.did(c.instant(into[i].Mark), op, into[i].Answer)
		c.each(s, c.instant(into[i].Mark), op, into[i].Answer)
	}
	for _, s := range order {
		c.do(t, s, stint.LookOp(1))
	}
}

// storeAsModel is law 2: every answer on random traces over several keys is the exact model's.
func storeAsModel(t *testing.T, s *shelf) {
	s.checks(t, func(t *rapid.T, store stint.Store, clock *Clock) {
		c := newCrowd(t, s, store, clock, everything)
		c.each = func(s *subject, now int64, op stint.Op, a stint.Answer) {
			if why := s.follow(now, op, a); why != "" {
				t.Fatalf("%s key %s at %d: %s: %s%s", showLimit(s.limit), s.key, now-Start, show(op), why, s.history())
			}
		}
		c.walk(t)
	})
}

// follow does op on the model and says how the store's answer differs from what it may be; "" if it does not.
func (s *subject) follow(now int64, op stint.Op, a stint.Answer) string {
	if op.Kind() == stint.Refund && a.Granted == 0 && (op.Wait > now || op.Wait <= s.reset) {
		return "" // a receipt of the future, or from before a reset
	}
	next := s.model.Clone()
	want := next.Apply(now, op)
	why := differs(s.limit, op, a, want)
	if op.Kind() == stint.Refund && a.Granted == want.Granted {
		why = "" // what is left is for the next look to say
	}
	if why != "" && s.settled {
		if next = reference(s.limit); differs(s.limit, op, a, next.Apply(now, op)) == "" {
			why = ""
		}
	}
	if why != "" {
		return fmt.Sprintf("%s\n got %+v\nwant %+v", why, a, want)
	}
	if op.Kind() == stint.Clear {
		s.reset = now
	}
	s.model = next
	s.settled = s.settled && (op.Kind() == stint.Look || refused(op, a)) || want.Reset == 0
	return ""
}

// storeNeverOver is law 1 on the admitted events of random traces, without a model.
func storeNeverOver(t *testing.T, s *shelf) {
	// A clock that steps back lets a store forget what a key has used, once it has been as good as new.
	s.checks(t, func(t *rapid.T, store stint.Store, clock *Clock) {
		c := newCrowd(t, s, store, clock, kinds{giveBack: true})
		books := map[*subject]*ledger{}
		c.each = func(s *subject, now int64, op stint.Op, a stint.Answer) {
			if books[s] == nil {
				books[s] = new(ledger)
			}
			books[s].record(s.limit, now, op, a)
		}
		c.walk(t)
		for s, book := range books {
			if err := NeverOver(s.limit, book.events()); err != nil {
				t.Fatalf("%s: %v", showLimit(s.limit), err)
			}
		}
	})
}
