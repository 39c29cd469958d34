package limittest

import (
	"testing"

	"github.com/stint-go/stint"
	"pgregory.net/rapid"
)

// StrategyOptions say what the kit cannot know of a strategy. The zero value is right for every built-in one; for a strategy
// of your own it runs all laws that need no knowledge of how it counts.
type StrategyOptions struct {
	// Limits to try the strategy with. Default: some forty, from one unit a year to millions a second, as far as the strategy's
	// Compile accepts them.
	Limits []stint.Limit

	// Model makes the exact reference of a new key, for law 2. Default: NewModel.
	Model func(*stint.Limit) Model

	// NeverOver is the promise of law 1, checked on the admitted events of a key. Default: NeverOver.
	NeverOver func(*stint.Limit, []Event) error

	// Books says that the strategy can book ahead ([stint.WithinOp]) instead of refusing.
	Books bool
}

// Strategy runs every law that a strategy must hold, each as a sub-test of its name.
func Strategy(t *testing.T, s stint.Strategy) { StrategyWith(t, StrategyOptions{}, s) }

// StrategyWith is Strategy with options.
func StrategyWith(t *testing.T, o StrategyOptions, s stint.Strategy) {
	b := newBench(t, o, s)
	for _, law := range strategyLaws {
		t.Run(law.name, func(t *testing.T) { law.check(t, b) })
	}
}

// bench is a strategy under test: its limits, compiled, and what is known of it.
type bench struct {
	StrategyOptions
	limits []*stint.Limit // all
	exact  []*stint.Limit // those that are counted without any rounding
}

func newBench(t testing.TB, o StrategyOptions, s stint.Strategy) *bench {
	t.Helper()
	b := &bench{StrategyOptions: o}
	if b.Model == nil {
		b.Model = NewModel
	}
	if b.NeverOver == nil {
		b.NeverOver = NeverOver
	}
	for _, l := range o.Limits {
		c, err := l.WithStrategy(s).Compile()
		if err != nil {
			t.Fatalf("limit %d per %v: %v", l.Units, l.Per, err)
		}
		b.limits = append(b.limits, c)
	}
	if o.Limits == nil {
		b.limits = usual(s)
	}
	for _, l := range b.limits {
		if countsExactly(l) {
			b.exact = append(b.exact, l)
		}
	}
	if len(b.exact) == 0 {
		t.Fatalf("strategy %s accepts none of the limits to try it with: give StrategyOptions.Limits", s.Name())
	}
	return b
}

// rig is a new key under one of the limits.
func (b *bench) rig(t *rapid.T, of []*stint.Limit) *rig {
	l := of[rapid.IntRange(0, len(of)-1).Draw(t, "limit")]
	return newRig(l, b.Books || booksAhead(l.Strategy))
}

// strategyLaws are the laws as far as they are the strategy's.
var strategyLaws = []struct {
	name  string
	check func(*testing.T, *bench)
}{
	{"law1_never_over", strategyNeverOver},
	{"law2_as_the_exact_model", strategyAsModel},
	{"law3_refusals_are_free", strategyRefusalsFree},
	{"law5_answers_are_true", strategyAnswersTrue},
	{"law6_peeks_look", strategyPeeksLook},
	{"law7_time_goes_forward", strategyTimeForward},
	{"law8_forgetting_is_invisible", strategyForgetting},
	{"law10_bounds_on_everything", strategyBounds},
}

func strategyNeverOver(t *testing.T, b *bench) {
	// A clock that steps back can make a receipt worth more than it is: by the rate times the step, so not in one trace.
	for name, k := range map[string]kinds{"refunds": {giveBack: true}, "clock_back": {back: true}} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			r := b.rig(t, b.limits)
			var led ledger
			_, paces := r.limit.Strategy.(stint.Pacing)
			k.ahead = paces // the instant of a bucket's booked grant is rounded to a tick
			r.walk(t, k, func(op stint.Op, a stint.Answer) { led.record(r.limit, r.now, r.now, op, a) })
			if err := b.NeverOver(r.limit, led.events()); err != nil {
				t.Fatalf("%s: %v%s", showLimit(r.limit), err, r.history())
			}
		}))
	}
}

func strategyAsModel(t *testing.T, b *bench) {
	if b.Model(b.exact[0]) == nil {
		t.Log("no model of this strategy: give StrategyOptions.Model to hold it to one")
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		r := b.rig(t, b.exact)
		model := b.Model(r.limit)
		r.walk(t, everything, func(op stint.Op, a stint.Answer) {
			want := model.Apply(r.now, op)
			if why := differs(r.limit, op, a, want); why != "" {
				t.Fatalf("%s at %d: %s: %s\n got %+v\nwant %+v%s", showLimit(r.limit), r.now-Start, show(op), why, a, want, r.history())
			}
			look := stint.LookOp(1)
			if got, want := r.try(r.now, look), model.Apply(r.now, look); got != want {
				t.Fatalf("%s at %d: look after %s:\n got %+v\nwant %+v%s", showLimit(r.limit), r.now-Start, show(op), got, want, r.history())
			}
		})
	})
}

// differs says in what an answer is not the model's; "" if in nothing that the operation promises.
func differs(l *stint.Limit, op stint.Op, got, want stint.Answer) string {
	kind := op.Kind()
	waits := kind == stint.Look || kind == stint.Grant || kind == stint.Charge && booksAhead(l.Strategy)
	switch {
	case kind != stint.Clear && got.Granted != want.Granted:
		return "granted"
	case waits && got.Wait != want.Wait:
		return "wait"
	case got.Remaining != want.Remaining:
		return "remaining"
	case got.Reset != want.Reset:
		return "reset-after"
	}
	return ""
}

func strategyRefusalsFree(t *testing.T, b *bench) {
	rapid.Check(t, func(t *rapid.T) {
		r := b.rig(t, b.limits)
		twin := r.clone() // does all but the refused calls and the looks
		r.walkPlain(t, everything, func(op stint.Op) {
			before := lend(r.state, r.limit)
			r.state = before
			a := r.apply(op)
			r.did(r.now, op, a)
			if refused(op, a) || op.Kind() == stint.Look {
				if r.state != before {
					t.Fatalf("%s at %d: %s changed the state from %+v to %+v", showLimit(r.limit), r.now-Start, show(op), before, r.state)
				}
				return
			}
			twin.now = r.now
			if other := twin.apply(op); other != a {
				t.Fatalf("%s at %d: %s: with refused calls and looks before it %+v, without %+v", showLimit(r.limit), r.now-Start, show(op),
					a, other)
			}
		})
	})
}

func strategyAnswersTrue(t *testing.T, b *bench) {
	rapid.Check(t, func(t *rapid.T) {
		r := b.rig(t, b.exact)
		r.walk(t, everything, func(op stint.Op, a stint.Answer) {
			if why := untrue(r, op, a); why != "" {
				t.Fatalf("%s at %d: %s answered %+v: %s%s", showLimit(r.limit), r.now-Start, show(op), a, why, r.history())
			}
		})
	})
}

// untrue says what is wrong in the answer that op just got; "" if nothing.
func untrue(r *rig, op stint.Op, a stint.Answer) string {
	capacity := r.limit.Capacity()
	if a.Remaining < 0 || a.Remaining > capacity {
		return "remaining is outside 0 and the capacity"
	}
	if a.Reset < 0 || a.Wait < 0 {
		return "a time below 0"
	}
	if refused(op, a) {
		switch {
		case a.Granted != 0:
			return "refused, yet granted a part"
		case (a.Wait == stint.Forever) != (op.Min > capacity):
			return "never is for costs above the capacity, and for them alone"
		case a.Wait == 0:
			return "refused without a wait"
		case a.Wait < decade && r.try(r.now+a.Wait, op).Granted < op.Min:
			return "refused again after exactly that wait"
		case a.Wait < decade && r.try(r.now+a.Wait-1, op).Granted >= op.Min:
			return "admitted a tick before that wait"
		}
	}
	if op.Kind() == stint.Grant && a.Granted > op.Max {
		return "granted more than was asked for"
	}
	if n := passing(r.clone(), a.Remaining); n != a.Remaining {
		return "remaining is not how many more calls of one unit pass"
	}
	return notReset(r, a)
}

// passing counts how many calls of one unit pass now, as far as it matters whether there are n.
func passing(r *rig, n int64) int64 {
	if n > 100 {
		if g := r.try(r.now, stint.UpToOp(stint.Forever)).Granted; g != n {
			return g
		}
		return n
	}
	for passed := int64(0); ; passed++ {
		if r.apply(stint.TakeOp(1)).Granted == 0 || passed > n {
			return passed
		}
	}
}

// notReset says what is wrong with an answer's reset-after.
func notReset(r *rig, a stint.Answer) string {
	if a.Reset >= decade {
		return ""
	}
	at := r.now + a.Reset
	for _, n := range []int64{1, max(1, r.limit.Capacity())} {
		if r.try(at, stint.LookOp(n)) != r.fresh(at, stint.LookOp(n)) {
			return "not as a new key's after reset-after"
		}
	}
	if a.Reset > 0 && r.try(at-1, stint.LookOp(1)).Reset != 1 {
		return "as a new key's before reset-after"
	}
	return ""
}

func strategyPeeksLook(t *testing.T, b *bench) {
	rapid.Check(t, func(t *rapid.T) {
		r := b.rig(t, b.limits)
		r.walk(t, everything, func(stint.Op, stint.Answer) {
			before := lend(r.state, r.limit)
			at := r.move(t, r.now, everything)
			after, _ := r.limit.Strategy.Apply(before, r.limit, at, stint.LookOp(r.cost(t)))
			if after != before {
				t.Fatalf("%s at %d: a look changed the state from %+v to %+v", showLimit(r.limit), at-Start, before, after)
			}
		})
	})
}

func strategyTimeForward(t *testing.T, b *bench) {
	rapid.Check(t, func(t *rapid.T) {
		r := b.rig(t, b.limits)
		r.walk(t, everything, func(stint.Op, stint.Answer) {
			earlier := r.now - rapid.Int64Range(0, 3*r.span()).Draw(t, "earlier")
			op := stint.TakeOp(max(1, min(r.cost(t), r.limit.Capacity())))
			then, now := r.try(earlier, op), r.try(r.now, op)
			if then.Granted > now.Granted {
				t.Fatalf("%s at %d: %s is refused, but granted by a clock %d ticks back", showLimit(r.limit), r.now-Start, show(op), r.now-earlier)
			}
			if then, now := r.try(earlier, stint.LookOp(1)), r.try(r.now, stint.LookOp(1)); then.Remaining > now.Remaining {
				t.Fatalf("%s at %d: %d remain, but %d by a clock %d ticks back", showLimit(r.limit), r.now-Start, now.Remaining, then.Remaining,
					r.now-earlier)
			}
		})
	})
}

func strategyForgetting(t *testing.T, b *bench) {
	rapid.Check(t, func(t *rapid.T) {
		r := b.rig(t, b.limits)
		r.walk(t, everything, func(op stint.Op, a stint.Answer) {
			if a.Reset > 0 && a.Reset < decade && r.state.Forgettable(r.now+a.Reset-1) {
				t.Fatalf("%s at %d: after %s the state may be forgotten before reset-after %d: %+v", showLimit(r.limit), r.now-Start, show(op),
					a.Reset, r.state)
			}
			at := r.now + rapid.Int64Range(0, 3*r.span()).Draw(t, "later")
			if !r.state.Forgettable(at) {
				return
			}
			look := stint.LookOp(max(1, min(r.cost(t), r.limit.Capacity())))
			if got, want := r.try(at, look), r.fresh(at, look); got != want {
				t.Fatalf("%s: state %+v may be forgotten at %d, but answers %+v there and a new key %+v", showLimit(r.limit), r.state, at-Start,
					got, want)
			}
			r.now, r.state = at, stint.State{}
		})
	})
}

func strategyBounds(t *testing.T, b *bench) {
	rapid.Check(t, func(t *rapid.T) {
		r := b.rig(t, b.limits)
		r.walk(t, everything, func(stint.Op, stint.Answer) {})
		c := r.clone()
		if a := c.apply(stint.ChargeOp(stint.Forever - 1)); c.limit.Capacity() > 0 && a.Remaining != 0 {
			t.Fatalf("%s: a charge of 2^63-2 leaves %+v", showLimit(r.limit), a)
		}
		if a := c.apply(stint.TakeOp(1)); a.Granted != 0 {
			t.Fatalf("%s: a take after a charge of 2^63-2 answers %+v", showLimit(r.limit), a)
		}
		if a := c.apply(stint.ResetOp()); a.Remaining != c.fresh(c.now, stint.LookOp(1)).Remaining || a.Reset != 0 {
			t.Fatalf("%s: a reset leaves %+v", showLimit(r.limit), a)
		}
		if a := c.apply(stint.TakeOp(stint.Forever)); a.Granted != 0 && c.limit.Capacity() != stint.Forever {
			t.Fatalf("%s: a take of 2^63-1 answers %+v", showLimit(r.limit), a)
		}
		if a := r.apply(stint.CreditOp(stint.Forever - 1)); a.Remaining != r.fresh(r.now, stint.LookOp(1)).Remaining {
			t.Fatalf("%s: a gift of 2^63-2 leaves %+v", showLimit(r.limit), a)
		}
	})
	for _, l := range b.limits {
		r := newRig(l, false)
		r.apply(stint.TakeOp(1))
		allocated := testing.AllocsPerRun(20, func() {
			r.now += 3
			r.apply(stint.TakeOp(1))
			r.apply(stint.LookOp(2))
		})
		if allocated > 0 {
			t.Errorf("%s: %v allocations a round", showLimit(l), allocated)
		}
	}
}
