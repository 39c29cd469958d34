package deny

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

func memory(t testing.TB) *stint.Memory {
	m, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compiled(t testing.TB, l stint.Limit) *stint.Limit {
	c, err := l.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{TTL: -1}, {TTL: maxTTL + 1}, {MaxKeys: -1}, {MaxKeys: mostKeys + 1}} {
		if _, err := New(memory(t), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := New(nil, Options{}); !errors.Is(err, ErrNoStore) {
		t.Errorf("no store: %v", err)
	}
	for entries, want := range map[int]int{1: 8, 8: 8, 9: 16, 100: 128, 1 << 16: 1 << 16} {
		s, err := New(memory(t), Options{MaxKeys: entries})
		if err != nil || len(s.table.ages) != want || len(s.table.buckets) != want/8 || s.options.TTL != time.Second {
			t.Errorf("%d entries: %d ages, %d buckets, %v", entries, len(s.table.ages), len(s.table.buckets), err)
		}
	}
}

// Neither what is remembered nor what is not takes memory for a call.
func TestNoAllocation(t *testing.T) {
	s, err := New(memory(t), Options{TTL: maxTTL})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	full, roomy := compiled(t, stint.PerDay(1)), compiled(t, stint.PerDay(1_000_000).WithBurst(1_000_000))
	for range 2 {
		if _, _, err := s.One(ctx, full, "k", stint.TakeOp(1)); err != nil {
			t.Fatal(err)
		}
	}
	claims := []stint.Claim{stint.NewClaim(full, "k", 1), stint.NewClaim(roomy, "k", 1)}
	into := make([]stint.Outcome, 2)
	if err := s.All(ctx, claims, into); err != nil { // of which the store is asked once
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"refused":  func() error { _, _, err := s.One(ctx, full, "k", stint.TakeOp(1)); return err },
		"admitted": func() error { _, _, err := s.One(ctx, roomy, "j", stint.TakeOp(1)); return err },
		"all":      func() error { return s.All(ctx, claims, into) },
		"many":     func() error { return s.Many(ctx, claims[:1], into[:1]) },
	} {
		n := testing.AllocsPerRun(100, func() {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 && (name != "many" || n >= 1) { // a pool may be emptied at any time
			t.Errorf("%s: %v allocations a call", name, n)
		}
	}
	if st := s.Stats(); st.Spared < 300 {
		t.Errorf("%+v", st)
	}
}

// A refusal outlives that its limit is made anew with the same values, and not that they change.
func TestLimitMadeAnew(t *testing.T) {
	s, err := New(memory(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	limit := stint.PerHour(1).WithID("a")
	ask := func(l stint.Limit) stint.Answer {
		a, _, err := s.One(context.Background(), compiled(t, l), "k", stint.TakeOp(1))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if ask(limit).Granted != 1 || ask(limit).Granted != 0 {
		t.Fatal("one an hour is not")
	}
	before := s.Stats()
	if ask(limit).Granted != 0 || s.Stats().Spared == before.Spared {
		t.Errorf("the refusal is forgotten with the limit's value: %+v", s.Stats())
	}
	other := stint.PerHour(3).WithID("a")
	before = s.Stats()
	ask(other)
	if after := s.Stats(); after.Spared != before.Spared {
		t.Error("a refusal under other values is remembered")
	}
}
