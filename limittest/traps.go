package limittest

import (
	"bytes"
	"testing"

	"github.com/stint-go/stint"
)

// trap is a mistake that limiters in production have made, and what catches it here.
type trap struct {
	name       string
	mustHold   string
	strategy   []func(*testing.T, *bench) // on every strategy
	law        []string                   // laws of the store
	own        func(*testing.T, *shelf)   // once
	vectors    []string                   // traces, on the store; a * at the end stands for any text
	elsewhere  string                     // the rest is held there
	notBuiltBy string                     // why there is nothing to run yet
}

// Traps runs every known trap, each as a sub-test of its name, on the store and on every strategy that it can apply to.
func Traps(t *testing.T, o StoreOptions, open Open) {
	s := newShelf(o, open)
	vectors, err := ReadVectors(bytes.NewReader(Vectors))
	if err != nil {
		t.Fatal(err)
	}
	empty := 0
	for i := range traps {
		trap := &traps[i]
		if trap.notBuiltBy != "" {
			empty++
		}
		t.Run(trap.name, func(t *testing.T) { trap.run(t, s, vectors) })
	}
	t.Logf("%d traps, of which %d have nothing to run yet", len(traps), empty)
}

func (trap *trap) run(t *testing.T, s *shelf, vectors []Vector) {
	t.Log(trap.mustHold)
	if trap.notBuiltBy != "" {
		t.Log("nothing to run yet:", trap.notBuiltBy)
	}
	if trap.elsewhere != "" {
		t.Log("also held elsewhere:", trap.elsewhere)
	}
	for _, strategy := range s.Strategies {
		if trap.strategy == nil {
			break
		}
		t.Run(strategy.Name(), func(t *testing.T) {
			b := newBench(t, StrategyOptions{}, strategy)
			for _, check := range trap.strategy {
				check(t, b)
			}
		})
	}
	for _, law := range storeLaws {
		for _, name := range trap.law {
			if name == law.name {
				t.Run("store_"+name, func(t *testing.T) { s.run(t, law) })
			}
		}
	}
	if trap.own != nil {
		trap.own(t, s)
	}
	for i := range vectors {
		if v := &vectors[i]; trap.names(v.ID) && DiffersOnPurpose(v) == "" && !s.RealClock {
			t.Run(v.ID, func(t *testing.T) {
				if err := s.replay(t, v); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// names says whether a trace is one of the trap's.
func (trap *trap) names(id string) bool {
	for _, name := range trap.vectors {
		if prefix := name[:len(name)-1]; name == id || name[len(name)-1] == '*' && len(id) >= len(prefix) && id[:len(prefix)] == prefix {
			return true
		}
	}
	return false
}

type onStrategy = []func(*testing.T, *bench)

var traps = []trap{
	{name: "F1_costs", mustHold: "a negative cost is an error; one above the capacity is never, without a retry-after, and changes nothing",
		strategy: onStrategy{trapCosts}, law: []string{"law10_bounds_on_everything"}},
	{name: "F2_extreme_limits", mustHold: "a limit that cannot be counted exactly is refused by Compile, every other one is exact",
		strategy: onStrategy{trapExtremes}},
	{name: "F3_time_not_monotonic", mustHold: "instants in any order admit no more than the span between the first and the last",
		strategy: onStrategy{strategyTimeForward}, law: []string{"law7_time_goes_forward"}},
	{name: "F4_expiry_frees_nothing", mustHold: "after any idle time short of time-to-full a key admits what has come back, no more",
		strategy: onStrategy{strategyForgetting}, law: []string{"law8_forgetting_is_invisible"}},
	{name: "F5_late_calls", mustHold: "a call of an earlier window that comes late erases nothing of a later one",
		strategy: onStrategy{trapLateCalls}},
	{name: "F6_peeks", mustHold: "a peek leaves every byte as it was and makes no key",
		strategy: onStrategy{strategyPeeksLook}, law: []string{"law6_peeks_look"}},
	{name: "F7_retry_honesty", mustHold: "waiting exactly retry-after admits the same cost, one tick less does not",
		strategy: onStrategy{strategyAnswersTrue}, law: []string{"law5_answers_are_true"}, vectors: []string{"x-retry-ceil"}},
	{name: "F8_remaining", mustHold: "remaining is within 0 and the limit, and is how many more calls of one unit pass",
		strategy: onStrategy{trapRemaining}},
	{name: "F9_fractions", mustHold: "grants, refusals and refunds neither lose nor make fractions of a unit, over any time",
		strategy: onStrategy{trapFractions}, vectors: []string{"x-frac-rate", "tb-rest-kept"}},
	{name: "F10_key_identity", mustHold: "different keys, tuples and limits never share a count", law: []string{"law9_keys_never_meet"},
		own: trapKeys, elsewhere: "package httplimit, for addresses"},
	{name: "F11_live_changes", mustHold: "a limit that changes carries over what was used: nothing is free, nothing sticks",
		law: []string{"changes_carry_the_used_share", "changes_gain_nothing"}},
	{name: "F12_debt_and_idle", mustHold: "after any debt and any idle time no more than the capacity is admitted at once",
		strategy: onStrategy{trapDebt}},
	{name: "F13_several_limits", mustHold: "duplicates, any order and opposite orders at once: no deadlock, all or nothing",
		law: []string{"law4_all_or_nothing", "law4_all_or_nothing_at_once"}},
	{name: "F14_releases", mustHold: "what is given back twice, or cancelled after it was committed, counts once",
		law: []string{"receipts_once_only", "resets_void_receipts"}, elsewhere: "package httplimit, for panics and clients that leave"},
	{name: "F15_local_tier", mustHold: "the sum of local grants is always reported, within a stated bound", elsewhere: "storetest: TestLeaseTraps and the fleet"},
	{name: "F16_numbers", mustHold: "instants in the far future are counted as any other", strategy: onStrategy{trapFarFuture},
		elsewhere: "the stores in Redis and SQL, not built, for their own numbers"},
	{name: "F17_store_trouble", mustHold: "a store that fails is an error or a chosen decision, never a denial by accident",
		law: []string{"law10_bounds_on_everything"}, elsewhere: "failover, not built, for stores that can be lost"},
	{name: "F18_doors", mustHold: "a missing key never means a free pass; no forged header changes who is counted",
		law: []string{"law10_bounds_on_everything"}, elsewhere: "package httplimit"},
	{name: "F19_floods", mustHold: "a flood of new keys stays within the memory bound and frees no key seen before", own: trapFlood},
	{name: "F20_linearizable", mustHold: "calls at once answer as if one came after the other", law: []string{"linearizable"}},

	{name: "P1_siblings_charged", mustHold: "a refusal charges no sibling limit", law: []string{"law3_refusals_are_free"},
		vectors: []string{"x-atomic-multi", "chain-stats"}},
	{name: "P2_refusals_charged", mustHold: "a refused cost is not charged, so the key recovers", strategy: onStrategy{strategyRefusalsFree},
		vectors: []string{"x-deny-no-charge", "fw-limits-cost"}},
	{name: "P3_retry_after_floored", mustHold: "retry-after is rounded up and counts down",
		vectors: []string{"x-retry-ceil", "x-interval-ra-multi", "tb-interval-ra"}, own: trapRetryHeader},
	{name: "P4_one_too_many_after_idle", mustHold: "an idle key holds its capacity, not one more", strategy: onStrategy{trapIdle},
		vectors: []string{"gcra-gov-noextra"}},
	{name: "P5_truncated_interval", mustHold: "rates that divide no tick neither drift nor vanish",
		vectors: []string{"x-frac-rate", "x-high-rate", "x-subsecond-window"}},
	{name: "P6_overflow", mustHold: "no product of time and rate overflows", strategy: onStrategy{strategyBounds},
		vectors: []string{"tb-multi-12h", "x-long-idle", "tb-ovf-*", "x-overflow-burst"}},
	{name: "P7_fractions_lost", mustHold: "fractions survive takes, refusals and changes of the limit",
		vectors: []string{"tb-rest-kept", "rep-asis-greedy", "rep-prop-frac"}},
	{name: "P8_clock_back", mustHold: "a clock that steps back refills nothing and locks nobody out",
		vectors: []string{"tb-refill-simple-3", "x-tb-clock-back", "x-gcra-clock-back"}},
	{name: "P9_more_than_the_burst", mustHold: "more than the capacity is never", vectors: []string{"gcra-gov-toobig*", "tb-take-5", "tb-est-8"}},
	{name: "P10_debt", mustHold: "taking up to, or giving, while in debt is exact", strategy: onStrategy{trapInDebt}, vectors: []string{"tb-debt-*"}},
	{name: "P11_remembered_refusals", mustHold: "a refusal of much does not refuse little", vectors: []string{"x-deny-cache-cost"},
		elsewhere: "the store that remembers refusals, not built"},
	{name: "P12_late_refunds", mustHold: "a refund lands in its own window, within the capacity and above zero",
		vectors: []string{"fw-erl-late-dec", "x-refund-cap", "x-credit-no-negative"}},
	{name: "P13_batches", mustHold: "calls decided together get what they would get one by one", law: []string{"batches"},
		elsewhere: "the store that merges calls, not built"},
	{name: "P14_late_sync", mustHold: "what nodes hold back is written in time, within a stated bound", elsewhere: "storetest: TestLeaseTraps and the fleet"},
	{name: "P15_cancelled_waiters", mustHold: "a waiter that leaves keeps nothing", own: trapCancelledWaiter, elsewhere: "TestVectors/q-cancel"},
	{name: "P16_overtaking", mustHold: "nobody overtakes those who wait", own: trapOvertaking, elsewhere: "TestVectors/q-nobarge"},
	{name: "P17_boundaries", mustHold: "retry-after and admission agree on the edge of a window, and a wait on its bound",
		vectors: []string{"x-swl-boundary", "tb-wait-*", "cyc-r4-edge"}},
	{name: "P18_locks_while_waiting", mustHold: "while a caller waits for one key others proceed", own: trapWaitsAlone},
	{name: "P19_fallback_on_denial", mustHold: "a denial is no failure of the store", notBuiltBy: "failover is not built"},
	{name: "P20_thundering_windows", mustHold: "the default counts a sliding window, without an edge that all keys share", own: trapDefault,
		vectors: []string{"x-window-strict"}},
	{name: "P21_counter_windows", mustHold: "a sliding counter's first window is the same on every store", vectors: []string{"swc-*"}},
	{name: "P22_log_memory", mustHold: "a log's memory is bounded whatever a call costs", own: trapLogMemory, vectors: []string{"swl-limits-million"}},
	{name: "P23_shortened_units", mustHold: "a text never means a shorter unit than it says", own: trapTexts},
	{name: "P24_joined_keys", mustHold: "parts of keys are never run together", law: []string{"law9_keys_never_meet"}, own: trapKeys},
	{name: "P25_addresses", mustHold: "one client is one key", elsewhere: "TestVectors/key-ip-*, TestVectors/x-xff-* and package httplimit"},
	{name: "P26_empty_key", mustHold: "the empty key is an error", law: []string{"law10_bounds_on_everything"}, elsewhere: "package httplimit"},
	{name: "P27_zero", mustHold: "a limit of 0 refuses all", strategy: onStrategy{trapZero}, vectors: []string{"x-zero-limit", "fw-rlf-zero"}},
	{name: "P28_check_then_act", mustHold: "never more slots are held than there are", law: []string{"law1_never_over_at_once"}},
	{name: "P29_unbounded_retries", mustHold: "many callers on one key come to an end, and get all that is left", law: []string{"law1_never_over_at_once", "new_key_at_once"}},
	{name: "P30_two_versions", mustHold: "two versions of a limit side by side admit no more than one", law: []string{"changes_gain_nothing"},
		vectors: []string{"rep-*", "x-limit-change"}},
	{name: "P31_stale_remaining", mustHold: "what a refusal says is left is what is left", vectors: []string{"x-gov-deny-rem", "x-cell-stale-rem"}},
}

// each runs a check on a new rig of each of the bench's limits.
func (b *bench) each(check func(r *rig)) {
	for _, l := range b.exact {
		check(newRig(l, booksAhead(l.Strategy)))
	}
}

func trapCosts(t *testing.T, b *bench) {
	b.each(func(r *rig) {
		c := r.limit.Capacity()
		for range 3 {
			before := lend(r.state, r.limit)
			for _, n := range []int64{c + 1, c + 2, stint.Forever - 1, stint.Forever} {
				if n <= c {
					continue
				}
				if a := r.apply(stint.TakeOp(n)); a.Granted != 0 || a.Wait != stint.Forever {
					t.Fatalf("%s: a take of %d: %+v", showLimit(r.limit), n, a)
				}
				if a := r.try(r.now, stint.LookOp(n)); a.Wait != stint.Forever {
					t.Fatalf("%s: a look for %d: %+v", showLimit(r.limit), n, a)
				}
			}
			if lend(r.state, r.limit) != before && before.Log == nil {
				t.Fatalf("%s: costs that never pass changed the state", showLimit(r.limit))
			}
			if c > 0 {
				r.apply(stint.TakeOp(max(1, c/2)))
			}
		}
	})
}

// trapExtremes tries limits at the ends of what numbers can say. Those that Compile accepts are held to the model.
func trapExtremes(t *testing.T, b *bench) {
	accepted := 0
	for _, l := range extremes {
		c, err := l.WithStrategy(b.limits[0].Strategy).Compile()
		if err != nil {
			continue
		}
		accepted++
		if !countsExactly(c) {
			continue
		}
		r, model := newRig(c, false), b.Model(c)
		for i, op := range []stint.Op{
			stint.LookOp(1), stint.TakeOp(1), stint.TakeOp(max(1, c.Capacity())), stint.UpToOp(stint.Forever), stint.TakeOp(1), stint.LookOp(max(1, c.Capacity())),
			stint.TakeOp(2), stint.TakeOp(1), stint.LookOp(1),
		} {
			r.now += int64(i * i * 7)
			got, want := r.apply(op), model.Apply(r.now, op)
			if why := differs(c, op, got, want); why != "" {
				t.Fatalf("%s at %d: %s: %s\n got %+v\nwant %+v", showLimit(c), r.now-Start, show(op), why, got, want)
			}
		}
	}
	t.Logf("%d of %d extreme limits are accepted", accepted, len(extremes))
}

func trapLateCalls(t *testing.T, b *bench) {
	b.each(func(r *rig) {
		c := r.limit.Capacity()
		if c == 0 || !countsUnits(r.limit) {
			return
		}
		later, earlier := r.now+r.span(), r.now+r.span()/2
		r.now = later
		used := max(1, c/2)
		r.apply(stint.TakeOp(used))
		r.now = earlier
		r.apply(stint.TakeOp(1))
		r.now = later
		if a := r.try(later, stint.LookOp(1)); a.Remaining > c-used {
			t.Fatalf("%s: after a late call %d remain of %d less %d", showLimit(r.limit), a.Remaining, c, used)
		}
	})
}

func trapRemaining(t *testing.T, b *bench) {
	b.each(func(r *rig) {
		for i := range 40 {
			a := r.apply(stint.TakeOp(1 + int64(i)%3))
			if a.Remaining < 0 || a.Remaining > r.limit.Capacity() {
				t.Fatalf("%s: %+v", showLimit(r.limit), a)
			}
			if n := passing(r.clone(), a.Remaining); n != a.Remaining {
				t.Fatalf("%s: %+v, yet %d more calls pass", showLimit(r.limit), a, n)
			}
			r.now += r.span() / 7
		}
	})
}

// trapFractions lets a hungry caller run for long, with refusals and refunds, and holds what it got to the model's.
func trapFractions(t *testing.T, b *bench) {
	b.each(func(r *rig) {
		model := b.Model(r.limit)
		for i := range 150 {
			op := stint.TakeOp(1)
			switch {
			case i%5 == 4:
				op = stint.UpToOp(3)
			case i%11 == 10:
				op = stint.RefundOp(1, r.now)
			}
			got, want := r.apply(op), model.Apply(r.now, op)
			if why := differs(r.limit, op, got, want); why != "" {
				t.Fatalf("%s at %d: %s: %s\n got %+v\nwant %+v", showLimit(r.limit), r.now-Start, show(op), why, got, want)
			}
			if i%3 == 2 && got.Wait < decade/1000 {
				r.now += max(1, got.Wait-int64(i%2))
			}
		}
	})
}

func trapDebt(t *testing.T, b *bench) {
	b.each(func(r *rig) {
		c := r.limit.Capacity()
		for _, debt := range []int64{c, c + 1, 1_000_000, stint.Forever / 2, stint.Forever - 1} {
			r := r.clone()
			if c == 0 {
				return
			}
			r.apply(stint.ChargeOp(debt))
			r.apply(stint.ChargeOp(debt))
			for _, idle := range []int64{1, r.span(), 10 * r.span(), decade, 2 * decade} {
				if a := r.try(r.now+idle, stint.UpToOp(stint.Forever)); a.Granted > c {
					t.Fatalf("%s: a debt of %d and %d idle admit %d", showLimit(r.limit), debt, idle, a.Granted)
				}
			}
		}
	})
}

func trapFarFuture(t *testing.T, b *bench) {
	b.each(func(r *rig) {
		for _, at := range []int64{1 << 31, 1 << 50, stint.MaxInstant - 100_000_000} {
			model := b.Model(r.limit)
			r.now, r.state = at, stint.State{}
			for i := range 30 {
				op := stint.TakeOp(1 + int64(i)%2)
				got, want := r.apply(op), model.Apply(r.now, op)
				if why := differs(r.limit, op, got, want); why != "" {
					t.Fatalf("%s at %d: %s: %s\n got %+v\nwant %+v", showLimit(r.limit), r.now, show(op), why, got, want)
				}
				r.now += 1_000_003
			}
		}
	})
}

func trapIdle(t *testing.T, b *bench) {
	b.each(func(r *rig) {
		c := r.limit.Capacity()
		for range 3 {
			got := r.apply(stint.UpToOp(stint.Forever)).Granted
			if got != c && countsUnits(r.limit) || got > c {
				t.Fatalf("%s: a key that was idle for long admits %d of %d", showLimit(r.limit), got, c)
			}
			if a := r.apply(stint.TakeOp(1)); a.Granted != 0 {
				t.Fatalf("%s: one more than the capacity after long idleness", showLimit(r.limit))
			}
			if a := r.try(r.now, stint.LookOp(1)); a.Reset < decade {
				r.now += a.Reset
			} else {
				return
			}
		}
	})
}

// trapInDebt: a key in debt grants nothing, and a gift is counted against the debt first.
func trapInDebt(t *testing.T, b *bench) {
	b.each(func(r *rig) {
		c := r.limit.Capacity()
		if c == 0 || !countsUnits(r.limit) || !r.mayOwe() {
			return
		}
		r.apply(stint.ChargeOp(c))
		r.apply(stint.ChargeOp(max(1, c/2)))
		if a := r.apply(stint.UpToOp(stint.Forever)); a.Granted != 0 || a.Remaining != 0 {
			t.Fatalf("%s: in debt, up to any number: %+v", showLimit(r.limit), a)
		}
		if a := r.apply(stint.CreditOp(max(1, c/2))); a.Remaining != 0 {
			t.Fatalf("%s: a gift as large as the debt leaves %+v", showLimit(r.limit), a)
		}
		if a := r.apply(stint.CreditOp(1)); a.Remaining != 1 {
			t.Fatalf("%s: a gift of one more leaves %+v", showLimit(r.limit), a)
		}
		if a := r.apply(stint.CreditOp(stint.Forever - 1)); a.Remaining != c || a.Reset != 0 {
			t.Fatalf("%s: a gift without end leaves %+v", showLimit(r.limit), a)
		}
	})
}

func trapZero(t *testing.T, b *bench) {
	l, err := stint.Limit{Units: 0, Per: 1_000_000_000, Strategy: b.limits[0].Strategy}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(l, false)
	for range 3 {
		for _, op := range []stint.Op{stint.TakeOp(1), stint.UpToOp(5), stint.LookOp(1)} {
			if a := r.apply(op); a.Granted != 0 || a.Wait != stint.Forever || a.Remaining != 0 || a.Reset != 0 {
				t.Fatalf("%s: %s: %+v", showLimit(l), show(op), a)
			}
		}
		r.now += decade
	}
}
