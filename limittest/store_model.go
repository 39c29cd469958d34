package limittest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

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
	late     time.Duration
	each     func(s *subject, m stint.Mark, op stint.Op, a stint.Answer) // m bears the instant of the answer's receipt
}

// newCrowd draws one to three limits with one to three keys each.
func newCrowd(t *rapid.T, s *shelf, store stint.Store, clock *Clock, k kinds) *crowd {
	c := &crowd{store: store, clock: clock, kinds: k, nonce: s.nonce, late: s.Late}
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
	actions := map[string]func(*rapid.T){"op": op, "op2": op, "all": c.all, "inTurn": c.inTurn}
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
	a, m := c.apply(t, s, op)
	s.did(m.At(), op, a)
	c.each(s, m, op, a)
}

func (c *crowd) apply(t fataler, s *subject, op stint.Op) (a stint.Answer, m stint.Mark) {
	var err error
	if op.Kind() == stint.Refund {
		a, m, err = c.store.Refund(context.Background(), s.limit, s.key, op, c.nonce())
	} else {
		a, m, err = c.store.One(context.Background(), s.limit, s.key, op)
	}
	if err != nil {
		t.Fatalf("%s: %s: %v", showLimit(s.limit), show(op), err)
	}
	return a, m
}

// claims is a claim on some of the keys, in a random order.
func (c *crowd) claims(t *rapid.T) ([]*subject, []stint.Claim) {
	order := rapid.Permutation(c.subjects).Draw(t, "order")
	order = order[:rapid.IntRange(1, len(order)).Draw(t, "claims")]
	claims := make([]stint.Claim, len(order))
	for i, s := range order {
		claims[i] = stint.Claim{Limit: s.limit, Key: s.key, Op: stint.TakeOp(max(1, s.cost(t)))}
	}
	return order, claims
}

// all makes a call with a claim on some of the keys, and shows each the answer it would have got alone.
func (c *crowd) all(t *rapid.T) {
	order, claims := c.claims(t)
	into := make([]stint.Outcome, len(claims))
	if err := c.store.All(context.Background(), claims, into); err != nil {
		t.Fatalf("all: %v", err)
	}
	c.didAll(order, claims, into)
	for _, s := range order {
		c.do(t, s, stint.LookOp(1))
	}
}

// inTurn makes several such calls in one go, some of them alike, on a store that can.
func (c *crowd) inTurn(t *rapid.T) {
	store, can := c.store.(stint.CallStore)
	if !can {
		c.all(t)
		return
	}
	var orders [][]*subject
	var claims []stint.Claim
	var ends []int
	for range rapid.IntRange(1, 3).Draw(t, "calls") {
		order, call := c.claims(t)
		for range rapid.SampledFrom([]int{1, 1, 2, 5, 20}).Draw(t, "alike") {
			orders, claims = append(orders, order), append(claims, call...)
			ends = append(ends, len(claims))
		}
	}
	into := make([]stint.Outcome, len(claims))
	if err := store.AllInTurn(context.Background(), claims, ends, into); err != nil {
		t.Fatalf("all in turn: %v", err)
	}
	first := 0
	for i, order := range orders {
		c.didAll(order, claims[first:ends[i]], into[first:ends[i]])
		first = ends[i]
	}
	for _, s := range c.subjects {
		c.do(t, s, stint.LookOp(1))
	}
}

// didAll shows the keys of a call what it answered.
func (c *crowd) didAll(order []*subject, claims []stint.Claim, into []stint.Outcome) {
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
		s.did(into[i].Mark.At(), op, into[i].Answer)
		c.each(s, into[i].Mark, op, into[i].Answer)
	}
}

// storeAsModel is law 2: every answer on random traces over several keys is the exact model's.
func storeAsModel(t *testing.T, s *shelf) {
	s.checks(t, func(t *rapid.T, store stint.Store, clock *Clock) {
		c := newCrowd(t, s, store, clock, everything)
		c.each = func(s *subject, m stint.Mark, op stint.Op, a stint.Answer) {
			now := c.instant(m)
			if why := s.follow(now, op, a); why != "" {
				t.Fatalf("%s key %s at %d: %s: %s%s", showLimit(s.limit), s.key, now-Start, show(op), why, s.history())
			}
		}
		c.walk(t)
	})
}

// follow does op on the model and says how the store's answer differs from what it may be; "" if it does not.
func (s *subject) follow(now int64, op stint.Op, a stint.Answer) string {
	if op.Kind() == stint.Refund && a.Granted == 0 && (op.Wait > now || op.Wait <= s.reset && !s.gavePart(now, op, a)) {
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

// gavePart says whether the answer to a refund shows that less than a unit was given back: a store may forget a reset once its clock
// has passed all that it can void, and the clock may step back after that.
func (s *subject) gavePart(now int64, op stint.Op, a stint.Answer) bool {
	given, kept := s.model.Clone().Apply(now, op), s.model.Clone().Apply(now, stint.LookOp(1))
	return given.Granted == 0 && a.Remaining == given.Remaining && a.Reset == given.Reset && a.Reset != kept.Reset
}

// storeNeverOver is law 1 on the admitted events of random traces, without a model.
func storeNeverOver(t *testing.T, s *shelf) {
	// A clock that steps back lets a store forget what a key has used, once it has been as good as new.
	s.checks(t, func(t *rapid.T, store stint.Store, clock *Clock) {
		c := newCrowd(t, s, store, clock, kinds{giveBack: true})
		books := map[*subject]*ledger{}
		c.each = func(s *subject, m stint.Mark, op stint.Op, a stint.Answer) {
			if books[s] == nil {
				books[s] = new(ledger)
			}
			books[s].record(s.limit, c.instant(m), m.At(), op, a)
		}
		c.walk(t)
		for s, book := range books {
			if err := NeverOverLate(s.limit, book.events(), ticks(c.late)); err != nil {
				t.Fatalf("%s: %v", showLimit(s.limit), err)
			}
		}
	})
}
