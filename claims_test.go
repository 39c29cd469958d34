package stint

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"
)

func TestTakeAll(t *testing.T) {
	ctx := context.Background()
	m, _ := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m)
	user := mustCompile(t, PerHour(10).WithID("user"))
	tenant := mustCompile(t, PerHour(100).WithBurst(15).WithID("tenant"))
	tried := mustCompile(t, PerHour(3).WithID("tried"))
	look := func(limit *Limit, key string) int64 {
		t.Helper()
		d, err := l.PeekAll(ctx, []Claim{NewClaim(limit, key, 1)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d.Remaining
	}

	// Claims on the same limit and key are added up; each gets the decision on the sum.
	into := make([]Decision, 3)
	d, err := l.TakeAll(ctx, []Claim{NewClaim(user, "a", 2), NewClaim(tenant, "t", 4), NewClaim(user, "a", 3)}, into)
	if err != nil || !d.Allowed || d.By != user || d.Remaining != 5 {
		t.Fatalf("%+v, %v", d, err)
	}
	if into[0].Remaining != 5 || into[1].Remaining != 11 || into[2].Remaining != 5 {
		t.Errorf("the decisions of each: %+v", into)
	}

	// The strictest decision is on top, and a refusal leaves the others as they were.
	d, err = l.TakeAll(ctx, []Claim{NewClaim(tenant, "t", 4), NewClaim(user, "a", 6)}, into[:2])
	if err != nil || d.Allowed || d.By != user || d.RetryAfter != time.Hour {
		t.Errorf("%+v, %v", d, err)
	}
	if !into[0].Allowed || into[0].Granted != 0 || into[1].Allowed {
		t.Errorf("the decisions of each: %+v", into[:2])
	}
	if look(tenant, "t") != 11 || look(user, "a") != 5 {
		t.Errorf("%d and %d left, want 11 and 5", look(tenant, "t"), look(user, "a"))
	}

	// A claim in shadow has no say, and is charged only when it passes and the call does.
	shadow := NewClaim(tried, "a", 2)
	shadow.Shadow = true
	for i, want := range []struct {
		reason Reason
		left   int64
	}{{Admitted, 1}, {Shadowed, 1}} {
		d, err = l.TakeAll(ctx, []Claim{NewClaim(user, "b", 1), shadow}, into[:2])
		if err != nil || !d.Allowed || into[1].Reason != want.reason || !into[1].Allowed || look(tried, "a") != want.left {
			t.Errorf("call %d: %+v, %+v, %d left, %v", i, d, into[1], look(tried, "a"), err)
		}
	}
	shadow.Key = "c"
	if d, err = l.TakeAll(ctx, []Claim{NewClaim(user, "b", 100), shadow}, into[:2]); err != nil || d.Allowed || look(tried, "c") != 3 {
		t.Errorf("%+v, %d left, %v", d, look(tried, "c"), err)
	}
	if d, err = l.TakeAll(ctx, []Claim{shadow}, nil); err != nil || !d.Allowed || d.Reason != Skipped || look(tried, "c") != 1 {
		t.Errorf("%+v, %d left, %v", d, look(tried, "c"), err)
	}

	for what, claims := range map[string][]Claim{
		"a negative cost": {NewClaim(user, "a", -1)},
		"an empty key":    {NewClaim(user, "", 1)},
		"an overflow":     {NewClaim(user, "a", math.MaxInt64), NewClaim(user, "a", 1)},
	} {
		if _, err := l.TakeAll(ctx, claims, nil); err == nil {
			t.Errorf("%s is no error", what)
		}
	}
	if _, err := l.TakeAll(ctx, []Claim{NewClaim(user, "a", 1)}, into); !errors.Is(err, ErrBatch) {
		t.Errorf("a place too many: %v", err)
	}
}

func TestTakeUpToAll(t *testing.T) {
	ctx := context.Background()
	m, _ := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m)
	calls, bytes := mustCompile(t, PerHour(10).WithID("calls")), mustCompile(t, PerHour(1000).WithBurst(1000).WithID("bytes"))
	into := make([]Decision, 2)
	claims := []Claim{NewClaim(calls, "k", 1), NewClaim(bytes, "k", 150)}
	d, err := l.TakeUpToAll(ctx, claims, 8, into)
	if err != nil || !d.Allowed || d.Granted != 6 || into[0].Granted != 6 || into[1].Granted != 900 {
		t.Errorf("%+v, %+v, %v; want six times", d, into, err)
	}
	if into[0].Remaining != 4 || into[1].Remaining != 100 {
		t.Errorf("%d and %d left, want 4 and 100", into[0].Remaining, into[1].Remaining)
	}
	if d, err = l.TakeUpToAll(ctx, claims, math.MaxInt64, into); err != nil || d.Allowed || d.By != bytes {
		t.Errorf("%+v, %v; want refused", d, err)
	}
	if _, err = l.TakeUpToAll(ctx, claims, -1, into); !errors.Is(err, ErrNegativeCost) {
		t.Errorf("%v", err)
	}
}

func TestTakeMany(t *testing.T) {
	ctx := context.Background()
	for name, limits := range map[string][]Limit{
		"one limit":      {PerHour(100)},
		"several limits": {PerHour(100), PerHour(1000).WithBurst(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newTestMemory(t, MemoryOptions{})
			l := newTestLimiter(t, m, limits...)
			calls := make([]Call, 200)
			for i := range calls {
				calls[i] = Call{"k", 1}
			}
			calls[7].N, calls[8].N, calls[9].Key = 0, -1, ""
			into := make([]Result, len(calls))
			if err := l.TakeMany(ctx, calls, into); err != nil {
				t.Fatal(err)
			}
			granted := 0
			for i, r := range into {
				switch {
				case i == 8:
					if !errors.Is(r.Err, ErrNegativeCost) {
						t.Errorf("a negative cost: %v", r.Err)
					}
				case i == 9:
					if !errors.Is(r.Err, ErrEmptyKey) {
						t.Errorf("an empty key: %v", r.Err)
					}
				case r.Err != nil:
					t.Errorf("call %d: %v", i, r.Err)
				case r.Allowed && i != 7:
					granted++
				}
			}
			if granted != 100 {
				t.Errorf("%d granted, want 100", granted)
			}
			keys, allowed := make([]string, 150), make([]bool, 150)
			for i := range keys {
				keys[i] = "other"
			}
			keys[3] = ""
			if err := l.AllowMany(keys, allowed); err != nil {
				t.Fatal(err)
			}
			granted = 0
			for i, yes := range allowed {
				if yes {
					granted++
				}
				if i == 3 && yes {
					t.Error("the empty key was granted")
				}
			}
			if granted != 100 {
				t.Errorf("AllowMany granted %d, want 100", granted)
			}
			if err := l.AllowMany(keys, allowed[1:]); !errors.Is(err, ErrBatch) {
				t.Errorf("a place too few: %v", err)
			}
			if err := l.TakeMany(ctx, calls, into[1:]); !errors.Is(err, ErrBatch) {
				t.Errorf("a place too few: %v", err)
			}
		})
	}
}

func TestObserversAreToldOfEveryDecision(t *testing.T) {
	ctx := context.Background()
	var seen []string
	o := ObserverFunc(func(_ context.Context, key string, cost int64, d *Decision, err error) {
		text := key + " " + d.Reason.String()
		if d.By != nil {
			text = d.By.ID + " " + text
		}
		if err != nil {
			text = key + " " + err.Error()
		}
		seen = append(seen, text)
	})
	l, err := NewWith(Options{Observers: []Observer{o}}, PerHour(1).WithID("x"))
	if err != nil {
		t.Fatal(err)
	}
	l.Allow("a")
	l.Allow("a")
	l.Allow("")
	_, _ = l.Peek(ctx, "b", 1)
	if err := l.WaitN(ctx, "b", 2); !errors.Is(err, ErrNever) {
		t.Error(err)
	}
	if err := l.TakeMany(ctx, []Call{{"c", 1}}, make([]Result, 1)); err != nil {
		t.Error(err)
	}
	want := []string{"x a admitted", "x a limited", " " + ErrEmptyKey.Error(), "x b admitted", "b " + ErrNever.Error(), "x c admitted"}
	if len(seen) != len(want) {
		t.Fatalf("told of %q, want %q", seen, want)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Errorf("told of %q, want %q", seen[i], want[i])
		}
	}
}

func TestLimiterRefusesBadLimits(t *testing.T) {
	for what, limits := range map[string][]Limit{
		"a negative number":   {{Units: -1, Per: time.Hour}},
		"no period":           {{Units: 1}},
		"a negative burst":    {{Units: 1, Per: time.Hour, Burst: -1}},
		"the same limit":      {PerHour(1), PerHour(1)},
		"a rate past 2^63/µs": {{Units: math.MaxInt64, Per: 1, Strategy: TokenBucket{}}},
		"too long an id":      {PerHour(1).WithID(string(make([]byte, maxID+1)))},
	} {
		var wrong *LimitError
		if _, err := New(limits...); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", what, err)
		}
	}
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Take(context.Background(), "k", 1); !errors.Is(err, ErrNoLimit) {
		t.Errorf("without a limit: %v", err)
	}
}

// Limits with one ID and the same values are the same limit, wherever they were compiled.
func TestTakeAllOnOneIDTwice(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	l, _ := NewWith(Options{Store: m})
	a, _ := PerHour(10).Compile()
	b, _ := PerHour(10).Compile()
	within(t, "TakeAll", func() {
		into := make([]Decision, 2)
		d, err := l.TakeAll(context.Background(), []Claim{NewClaim(a, "k", 1), NewClaim(b, "k", 1)}, into)
		if err != nil || d.Remaining != 8 || into[1].Granted != 2 {
			t.Errorf("%+v, %v, of the second claim %+v", d, err, into[1])
		}
	})
	c, _ := PerHour(20).WithID(a.ID).Compile()
	var wrong *LimitError
	if _, err := l.TakeAll(context.Background(), []Claim{NewClaim(a, "k", 1), NewClaim(c, "k", 1)}, nil); !errors.As(err, &wrong) {
		t.Errorf("other values: %v", err)
	}
}

// TakeUpToAll takes whole steps only, and says how many.
func TestTakeUpToAllInSteps(t *testing.T) {
	ctx := context.Background()
	m, _ := newTestMemory(t, MemoryOptions{})
	l, _ := NewWith(Options{Store: m})
	a, _ := PerHour(10).Compile()
	d, err := l.TakeUpToAll(ctx, []Claim{NewClaim(a, "k", 3)}, 5, nil)
	if err != nil || d.Granted != 3 || d.Remaining != 1 {
		t.Errorf("single: granted %d, remaining %d, %v", d.Granted, d.Remaining, err)
	}
	d, err = l.TakeUpToAll(ctx, []Claim{NewClaim(a, "two", 1), NewClaim(a, "two", 1)}, 5, nil)
	if err != nil || d.Granted != 5 || d.Remaining != 0 {
		t.Errorf("twice: granted %d, remaining %d, %v", d.Granted, d.Remaining, err)
	}
	b, _ := PerHour(2).Compile()
	d, err = l.TakeUpToAll(ctx, []Claim{NewClaim(a, "three", 1), NewClaim(b, "three", 0)}, 5, nil)
	if err != nil || d.Granted != 5 {
		t.Errorf("with a look: granted %d, remaining %d, %v", d.Granted, d.Remaining, err)
	}
}

// An Op that no function makes is an error, not a panic.
func TestTakeAllRefusesBadOps(t *testing.T) {
	ctx := context.Background()
	m, _ := newTestMemory(t, MemoryOptions{})
	l, _ := NewWith(Options{Store: m})
	a, _ := PerHour(10).Compile()
	b, _ := PerHour(11).Compile()
	claims := []Claim{{Limit: a, Key: "k", Op: Op{0, 5, 0}}, {Limit: b, Key: "k", Op: Op{0, 5, 0}}}
	var wrong *LimitError
	if _, err := l.TakeAll(ctx, claims, nil); !errors.As(err, &wrong) {
		t.Errorf("TakeAll: %v", err)
	}
	if _, err := l.TakeUpToAll(ctx, claims, 3, nil); !errors.As(err, &wrong) {
		t.Errorf("TakeUpToAll: %v", err)
	}
}
