package limittest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// limiter is a limiter on the store.
func limiter(t testing.TB, store stint.Store, limits ...stint.Limit) *stint.Limiter {
	t.Helper()
	l, err := stint.NewWith(stint.Options{Store: store}, limits...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// take takes n units, and fails on an error.
func take(t testing.TB, l *stint.Limiter, key string, n int64) stint.Decision {
	t.Helper()
	d, err := l.Take(context.Background(), key, n)
	if err != nil {
		t.Fatalf("take %d of %q: %v", n, key, err)
	}
	return d
}

// storeRefusalsFree is law 3: what is refused charges neither its own limit nor a sibling, however often it is tried.
func storeRefusalsFree(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	for _, roomy := range s.lasting(t, 10) {
		if !countsUnits(roomy) {
			continue
		}
		for _, tight := range s.lasting(t, 2) {
			if !countsUnits(tight) {
				continue
			}
			l, key := limiter(t, store, *roomy, *tight), "beside "+tight.ID
			if d := take(t, l, key, 2); !d.Allowed {
				t.Fatalf("%s and %s: a new key refuses 2: %+v", showLimit(roomy), showLimit(tight), d)
			}
			for range 5 {
				if d := take(t, l, key, 1); d.Allowed || d.By.ID != tight.ID {
					t.Fatalf("%s and %s: 3 units of 2 are admitted, or refused by the wrong limit: %+v", showLimit(roomy), showLimit(tight), d)
				}
			}
			if a := one(t, store, roomy, key, stint.LookOp(1)); a.Remaining != 8 {
				t.Fatalf("%s: refused calls left %d of 8", showLimit(roomy), a.Remaining)
			}
		}
	}
}

// storeAllOrNothing is law 4: a call with several claims takes all of them or none, whatever their order, and claims on one
// key add up.
func storeAllOrNothing(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	ctx := context.Background()
	s.property(t, func(rt *rapid.T) {
		l := limiter(t, store)
		var limits []*stint.Limit
		left := map[stint.Claim]int64{}
		for range rapid.IntRange(1, 3).Draw(rt, "limits") {
			strategy := rapid.SampledFrom(s.Strategies).Draw(rt, "strategy")
			limit := s.lastingOf(rt, strategy, rapid.Int64Range(1, 9).Draw(rt, "units"))
			if countsUnits(limit) {
				limits = append(limits, limit)
			}
		}
		if len(limits) == 0 {
			return
		}
		place := func(c stint.Claim) stint.Claim { return stint.Claim{Limit: c.Limit, Key: c.Key} }
		for range rapid.IntRange(1, 8).Draw(rt, "calls") {
			var claims []stint.Claim
			sums := map[stint.Claim]int64{}
			for range rapid.IntRange(1, 5).Draw(rt, "claims") {
				limit := rapid.SampledFrom(limits).Draw(rt, "limit")
				n := rapid.Int64Range(1, 4).Draw(rt, "cost")
				c := stint.NewClaim(limit, rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key"), n)
				claims = append(claims, c)
				sums[place(c)] += n
			}
			passes := true
			for p, n := range sums {
				if _, known := left[p]; !known {
					left[p] = p.Limit.Capacity()
				}
				passes = passes && n <= left[p]
			}
			into := make([]stint.Decision, len(claims))
			d, err := l.TakeAll(ctx, claims, into)
			if err != nil {
				rt.Fatalf("take all: %v", err)
			}
			if d.Allowed != passes {
				rt.Fatalf("take all of %v with %v left: %+v", sums, left, d)
			}
			for p, n := range sums {
				if passes {
					left[p] -= n
				}
				if a := one(rt, store, p.Limit, p.Key, stint.LookOp(1)); a.Remaining != left[p] {
					rt.Fatalf("%s key %s: %d remain after %+v, want %d", showLimit(p.Limit), p.Key, a.Remaining, d, left[p])
				}
			}
			for i, c := range claims {
				if into[i].Remaining != left[place(c)] || into[i].Limit != c.Limit.Capacity() {
					rt.Fatalf("%s key %s: its decision says %+v, want %d remaining", showLimit(c.Limit), c.Key, into[i], left[place(c)])
				}
			}
		}
	})
}

// storeUpToInStep takes the same number of times from every claim: the most that all admit.
func storeUpToInStep(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	ctx := context.Background()
	for _, strategy := range s.Strategies {
		roomy, tight := s.lastingOf(t, strategy, 100), s.lastingOf(t, strategy, 10)
		if !countsUnits(roomy) {
			continue
		}
		l := limiter(t, store)
		claims := []stint.Claim{stint.NewClaim(roomy, "k", 7), stint.NewClaim(tight, "k", 3)}
		d, err := l.TakeUpToAll(ctx, claims, 5, nil)
		if err != nil || !d.Allowed || d.Granted != 3 {
			t.Fatalf("%s: up to 5 times 7 of 100 and 3 of 10: %+v, %v", strategy.Name(), d, err)
		}
		if a, b := one(t, store, roomy, "k", stint.LookOp(1)), one(t, store, tight, "k", stint.LookOp(1)); a.Remaining != 79 || b.Remaining != 1 {
			t.Fatalf("%s: 3 times 7 and 3 leave %d of 100 and %d of 10", strategy.Name(), a.Remaining, b.Remaining)
		}
		if d, err = l.TakeUpToAll(ctx, claims, 5, nil); err != nil || d.Allowed {
			t.Fatalf("%s: once more is admitted: %+v, %v", strategy.Name(), d, err)
		}
		if a := one(t, store, roomy, "k", stint.LookOp(1)); a.Remaining != 79 {
			t.Fatalf("%s: a refusal left %d of 79", strategy.Name(), a.Remaining)
		}
	}
}

// storeAnswersTrue is law 5 at the level of decisions: waiting exactly retry-after admits the same cost, a tick less does not.
func storeAnswersTrue(t *testing.T, s *shelf) {
	store, clock := s.store(t)
	if clock == nil {
		waitsTrue(t, s, store)
		return
	}
	for _, strategy := range s.Strategies {
		for _, usual := range usual(strategy) {
			limit := s.named(*usual)
			l := limiter(t, store, limit)
			capacity := usual.Capacity()
			if capacity == 0 {
				d := take(t, l, "k", 1)
				if d.Allowed || d.RetryAfter != stint.Never || d.Reason != stint.TooMuch || d.Remaining != 0 {
					t.Fatalf("%s: a take answers %+v", showLimit(usual), d)
				}
				continue
			}
			if d := take(t, l, "k", capacity); !d.Allowed || d.Limit != capacity || d.RetryAfter != 0 {
				t.Fatalf("%s: a new key refuses its capacity: %+v", showLimit(usual), d)
			}
			if capacity < stint.Forever {
				if d := take(t, l, "k", capacity+1); d.Allowed || d.RetryAfter != stint.Never || d.Reason != stint.TooMuch {
					t.Fatalf("%s: more than the capacity: %+v", showLimit(usual), d)
				}
			}
			d := take(t, l, "k", 1)
			if d.Allowed || d.RetryAfter <= 0 || d.Reason != stint.Limited || d.Remaining != 0 {
				t.Fatalf("%s: an empty key answers %+v", showLimit(usual), d)
			}
			wait := ticks(d.RetryAfter)
			if wait > 2*decade {
				continue
			}
			clock.Advance(wait - 1)
			if early := take(t, l, "k", 1); early.Allowed || early.RetryAfter != stint.Tick {
				t.Fatalf("%s: a tick before retry-after %v: %+v", showLimit(usual), d.RetryAfter, early)
			}
			clock.Advance(1)
			if d := take(t, l, "k", 1); !d.Allowed {
				t.Fatalf("%s: after retry-after %v: %+v", showLimit(usual), time.Duration(wait)*stint.Tick, d)
			}
			clock.Set(Start)
		}
	}
}

// waitsTrue is law 5 on the store's own time: an empty key refuses until the instant that it named, whenever it is asked, and
// not from then on.
func waitsTrue(t *testing.T, s *shelf, store stint.Store) {
	for _, strategy := range s.Strategies {
		limit := s.compiled(t, stint.Limit{Units: 3, Per: 20 * time.Millisecond, Strategy: strategy})
		if limit.Per > time.Second {
			continue // a calendar's windows last longer than tests
		}
		if a := one(t, store, limit, "k", stint.TakeOp(limit.Capacity())); a.Granted != limit.Capacity() {
			t.Fatalf("%s: a new key refuses its capacity: %+v", showLimit(limit), a)
		}
		a, at := oneAt(t, store, limit, "k", stint.LookOp(3))
		for end := at + a.Wait; a.Wait > 0; {
			time.Sleep(between)
			switch a, at = oneAt(t, store, limit, "k", stint.LookOp(3)); {
			case a.Wait > 0 && at+a.Wait != end:
				t.Fatalf("%s: to be granted at %d, and at %d to be granted at %d: %+v", showLimit(limit), end, at, at+a.Wait, a)
			case a.Wait == 0 && at < end:
				t.Fatalf("%s: to be granted at %d, and granted at %d: %+v", showLimit(limit), end, at, a)
			}
		}
		if a := one(t, store, limit, "k", stint.TakeOp(3)); a.Granted != 3 {
			t.Fatalf("%s: after its wait: %+v", showLimit(limit), a)
		}
	}
}

// storePeeksLook is law 6: peeks neither charge nor make a key, and say what the take after them does.
func storePeeksLook(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	ctx := context.Background()
	for _, limit := range s.lasting(t, 5) {
		l := limiter(t, store, *limit)
		for n := int64(1); n <= 6; n++ {
			peek, err := l.Peek(ctx, "k", n)
			if err != nil {
				t.Fatal(err)
			}
			again, err := l.Peek(ctx, "k", n)
			if err != nil {
				t.Fatal(err)
			}
			if peek.Allowed != again.Allowed || peek.Remaining != again.Remaining {
				t.Fatalf("%s: peek %d: %+v, then %+v", showLimit(limit), n, peek, again)
			}
			d := take(t, l, "k", n)
			if d.Allowed != peek.Allowed {
				t.Fatalf("%s: peek %d says %+v, the take after it %+v", showLimit(limit), n, peek, d)
			}
			if !d.Allowed && (d.RetryAfter == stint.Never) != (peek.RetryAfter == stint.Never) {
				t.Fatalf("%s: peek %d says %+v, the take after it %+v", showLimit(limit), n, peek, d)
			}
		}
		zero := take(t, l, "other", 0)
		if !zero.Allowed || zero.Remaining != one(t, store, limit, "other", stint.LookOp(1)).Remaining {
			t.Fatalf("%s: a call of cost 0 on a new key: %+v", showLimit(limit), zero)
		}
	}
}

// storeChargeWithMarker is law 4 where one of the claims can never be refused: a charge goes with a take, whatever it brings the key to,
// and is not made where the take is refused. Whoever tries again after a lost answer relies on it.
func storeChargeWithMarker(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	marker := s.compiled(t, stint.Limit{ID: "marker", Units: 1, Per: time.Hour})
	for _, strategy := range s.Strategies {
		limit := s.compiled(t, stint.Limit{Units: 5, Per: time.Hour, Strategy: strategy})
		for _, n := range []int64{1, 5, 7} {
			key := fmt.Sprint(showLimit(limit), n)
			claims := []stint.Claim{{Limit: marker, Key: key, Op: stint.TakeOp(1)}, {Limit: limit, Key: key, Op: stint.ChargeOp(n)}}
			var wait int64
			for i, marked := range []bool{true, false, false} {
				var into [2]stint.Outcome
				if err := store.All(context.Background(), claims, into[:]); err != nil {
					t.Fatalf("%s: %v", showLimit(limit), err)
				}
				if got := into[0].Granted == 1; got != marked || into[1].Granted != n {
					t.Fatalf("%s: charge %d, call %d: %+v", showLimit(limit), n, i+1, into)
				}
				full := one(t, store, limit, key, stint.LookOp(5)).Wait
				switch {
				case i == 0:
					wait = full
				case full > wait || full == 0:
					t.Fatalf("%s: charge %d, call %d: 5 units in %d ticks, after the first in %d", showLimit(limit), n, i+1, full, wait)
				}
			}
		}
	}
}

// storeTimeForward is law 7: a clock that steps back grants nothing to a key that exists.
func storeTimeForward(t *testing.T, s *shelf) {
	store, clock := s.store(t)
	for _, strategy := range s.Strategies {
		limit := s.compiled(t, stint.Limit{Units: 5, Per: time.Second, Strategy: strategy})
		clock.Set(Start)
		one(t, store, limit, "k", stint.ChargeOp(5))
		wait := one(t, store, limit, "k", stint.LookOp(1)).Wait
		for _, back := range []time.Duration{time.Microsecond, time.Second, time.Hour, 24 * 365 * 10 * time.Hour} {
			clock.Set(Start - ticks(back))
			if a := one(t, store, limit, "k", stint.TakeOp(1)); a.Granted != 0 || a.Remaining != 0 {
				t.Fatalf("%s: an empty key, %v back: %+v", showLimit(limit), back, a)
			}
		}
		clock.Set(Start + wait)
		if a := one(t, store, limit, "k", stint.TakeOp(1)); a.Granted != 1 {
			t.Fatalf("%s: stuck after the clock came back: %+v", showLimit(limit), a)
		}
	}
}

// storeForgetting is law 8: whatever a store drops while other keys come and go, no key gets more or less for it.
func storeForgetting(t *testing.T, s *shelf) {
	store, clock := s.store(t)
	per := time.Second
	if clock == nil {
		per = 20 * time.Millisecond // on the store's own time all this takes a moment only
	}
	for _, strategy := range s.Strategies {
		limit := s.compiled(t, stint.Limit{Units: 4, Per: per, Strategy: strategy})
		models := map[string]Model{}
		for round := range 5 {
			for i := range s.some(200, 20) {
				key := fmt.Sprint("k", (i*7+round*131)%(5*s.some(100, 10)))
				if models[key] == nil {
					models[key] = reference(limit)
				}
				op := stint.TakeOp(1 + int64(i+round)%4)
				got, at := oneAt(t, store, limit, key, op)
				want := models[key].Apply(at, op)
				if why := differs(limit, op, got, want); why != "" {
					t.Fatalf("%s key %s: %s: %s\n got %+v\nwant %+v", showLimit(limit), key, show(op), why, got, want)
				}
				clock.pass(2000)
			}
			for i := range s.some(400, 20) { // keys that come once
				one(t, store, limit, fmt.Sprint("once", round, i), stint.TakeOp(1))
			}
		}
	}
}

// storeKeysNeverMeet is law 9: every key has a count of its own, whatever its bytes, under every limit.
func storeKeysNeverMeet(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	limits := append(s.lasting(t, 2), s.lasting(t, 2)...)
	for i, limit := range limits {
		for j, key := range awkwardKeys {
			if a := one(t, store, limit, key, stint.TakeOp(2)); a.Granted != 2 {
				t.Fatalf("%s (limit %d): key %q (%d) is not a new key: %+v", showLimit(limit), i, key, j, a)
			}
		}
	}
	for _, limit := range limits {
		for _, key := range awkwardKeys {
			if a := one(t, store, limit, key, stint.TakeOp(1)); a.Granted != 0 {
				t.Fatalf("%s: key %q lost its count: %+v", showLimit(limit), key, a)
			}
		}
	}
}

// awkwardKeys are keys that careless encodings take for each other, or for something else.
var awkwardKeys = []string{
	"a", "A", " a", "a ", "a\x00", "\x00a", "\x00", "\x00\x00", "a/b", "a:b", "a|b", "a*", "a?", "[a]", "{a}", "{a}b", "%61", "a\nb",
	"\xff", "\xff\xfe", "\xc3\x28", "é", "e\u0301", "日本語", "🙂", "NaN", "null", "0", "00", "-0", "1e3", "1000", "'; DROP TABLE x; --",
	stint.Key("a", "b"), stint.Key("a", "", "b"), stint.Key("ab", ""), stint.Key("", "ab"), stint.Key("", ""),
	stint.Key("a", "b/c"), stint.Key("a/b", "c"), strings.Repeat("k", 199), strings.Repeat("k", 200), strings.Repeat("k", 201),
	strings.Repeat("k", 100_000), strings.Repeat("k", 100_000) + "x",
}

// storeBounds is law 10 where it meets a caller: bad input is an error and changes nothing, extreme costs are exact, a closed
// store says so.
func storeBounds(t *testing.T, s *shelf) {
	store, _ := s.begin(t)
	ctx := context.Background()
	for _, limit := range s.lasting(t, 5) {
		l := limiter(t, store, *limit)
		for _, n := range []int64{-1, -5, -stint.Forever, -stint.Forever - 1} {
			calls := map[string]func() error{
				"take":       func() error { _, err := l.Take(ctx, "k", n); return err },
				"take up to": func() error { _, err := l.TakeUpTo(ctx, "k", n); return err },
				"peek":       func() error { _, err := l.Peek(ctx, "k", n); return err },
				"reserve":    func() error { _, err := l.Reserve(ctx, "k", n); return err },
				"wait":       func() error { return l.WaitN(ctx, "k", n) },
				"credit":     func() error { return l.Credit(ctx, "k", n) },
				"charge":     func() error { return l.Charge(ctx, "k", n) },
			}
			for name, call := range calls {
				if err := call(); !errors.Is(err, stint.ErrNegativeCost) {
					t.Fatalf("%s of %d: %v", name, n, err)
				}
			}
			if l.AllowN("k", n) {
				t.Fatalf("allow of %d", n)
			}
		}
		if _, err := l.Take(ctx, "", 1); !errors.Is(err, stint.ErrEmptyKey) {
			t.Fatalf("the empty key: %v", err)
		}
		if l.Allow("") {
			t.Fatal("the empty key is allowed")
		}
		for _, n := range []int64{6, 7, stint.Forever - 1, stint.Forever} {
			d := take(t, l, "k", n)
			if d.Allowed || d.RetryAfter != stint.Never || d.Reason != stint.TooMuch {
				t.Fatalf("%s: a take of %d: %+v", showLimit(limit), n, d)
			}
			if _, told := d.RetrySeconds(); told {
				t.Fatalf("%s: never has a retry-after", showLimit(limit))
			}
		}
		if d := take(t, l, "k", 5); !d.Allowed {
			t.Fatalf("%s: bad input and refusals cost something: %+v", showLimit(limit), d)
		}
	}
	limit := s.lasting(t, 5)[0]
	if err := store.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, _, err := store.One(ctx, limit, "k", stint.TakeOp(1)); !errors.Is(err, stint.ErrClosed) {
		t.Fatalf("a closed store answers %v", err)
	}
}

// storeLeavesNothing: a store that was used and closed leaves no goroutine behind.
func storeLeavesNothing(t *testing.T, s *shelf) {
	before := goleak.IgnoreCurrent()
	store, _ := s.begin(t)
	for _, limit := range s.lasting(t, 5) {
		one(t, store, limit, "k", stint.TakeOp(1))
	}
	for range 2 { // a second time does no harm
		if err := store.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	goleak.VerifyNone(t, before)
}

// storeBatches holds a batch to the calls one by one, each with an error of its own.
func storeBatches(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	ctx := context.Background()
	for _, limit := range s.lasting(t, 3) {
		if !countsUnits(limit) {
			continue
		}
		l := limiter(t, store, *limit)
		var calls []stint.Call
		for i := range 200 {
			calls = append(calls, stint.Call{Key: fmt.Sprint("k", i%50), N: 1})
		}
		calls[10].N, calls[20].Key = -1, ""
		into := make([]stint.Result, len(calls))
		if err := l.TakeMany(ctx, calls, into); err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for i, r := range into {
			switch {
			case i == 10 && !errors.Is(r.Err, stint.ErrNegativeCost), i == 20 && !errors.Is(r.Err, stint.ErrEmptyKey):
				t.Fatalf("%s: call %d: %+v", showLimit(limit), i, r)
			case i == 10, i == 20:
				continue
			case r.Err != nil:
				t.Fatalf("%s: call %d: %v", showLimit(limit), i, r.Err)
			}
			seen[calls[i].Key]++
			if want := seen[calls[i].Key] <= 3; r.Allowed != want {
				t.Fatalf("%s: call %d, number %d of its key: %+v", showLimit(limit), i, seen[calls[i].Key], r.Decision)
			}
		}
	}
}
