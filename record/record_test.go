package record_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

var strategies = []stint.Strategy{
	stint.TokenBucket{}, stint.IntervalBucket{}, stint.FixedWindow{}, stint.CalendarWindow{}, stint.CalendarWindow{Every: stint.Month},
	stint.SlidingLog{}, stint.SlidingCounter{}, stint.Concurrency{}, stint.Pacing{},
}

func compiled(t testing.TB, l stint.Limit) *stint.Limit {
	t.Helper()
	c, err := l.WithID("limit").Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const start = int64(1_700_000_000_000_000)

// noEarlier is for records that are never carried over.
func noEarlier(l *stint.Limit, variant uint64) (*stint.Limit, error) {
	return nil, fmt.Errorf("limit %q: asked for variant %x", l.ID, variant)
}

// randomOp is any operation but a refund, whose worth the store of the test would have to know.
func randomOp(random *rand.Rand) stint.Op {
	n := 1 + random.Int64N(4)
	switch random.IntN(12) {
	case 0:
		return stint.ResetOp()
	case 1:
		return stint.CreditOp(n)
	case 2:
		return stint.ChargeOp(n)
	case 3:
		return stint.UpToOp(n)
	case 4:
		return stint.LookOp(n)
	case 5:
		return stint.WithinOp(n, random.Int64N(1_000_000))
	}
	return stint.TakeOp(n)
}

// A record that goes through its bytes at every step answers as the memory store does.
func TestStepsAreTheMemoryStores(t *testing.T) {
	for _, strategy := range strategies {
		for seed := range uint64(30) {
			random := rand.New(rand.NewPCG(seed, 1))
			now := start
			memory, err := stint.NewMemory(stint.MemoryOptions{Clock: func() int64 { return now }})
			if err != nil {
				t.Fatal(err)
			}
			l := compiled(t, stint.Limit{Units: 1 + random.Int64N(20), Per: time.Second, Strategy: strategy})
			var data []byte
			for step := range 300 {
				if random.IntN(3) == 0 {
					now += random.Int64N(300_000)
				}
				r, err := record.Parse(data)
				if err != nil {
					t.Fatal(err)
				}
				if r.Until(l) <= now {
					r = record.Record{} // the store has removed it
				}
				if random.IntN(40) == 0 {
					for_ := time.Duration(random.Int64N(200_000)) * stint.Tick
					r.Block(now, now+int64(for_/stint.Tick))
					if err := memory.Block(context.Background(), l, "k", for_); err != nil {
						t.Fatal(err)
					}
					data = r.Append(nil)
				}
				op := randomOp(random)
				got, changed := r.Step(l, now, op, noEarlier)
				want, mark, err := memory.One(context.Background(), l, "k", op)
				if err != nil || got.Err != nil || got.Answer != want || got.Mark != mark {
					t.Fatalf("%s seed %d step %d: %+v: got %+v, want %+v %v (%v)", strategy.Name(), seed, step, op, got, want, mark, err)
				}
				if changed {
					data = r.Append(nil)
				}
			}
			memory.Close()
		}
	}
}

// Calls with several claims answer as the memory store's do, blocked keys included.
func TestStepAllIsTheMemoryStores(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		now := start
		memory, err := stint.NewMemory(stint.MemoryOptions{Clock: func() int64 { return now }})
		if err != nil {
			t.Fatal(err)
		}
		limits := make([]*stint.Limit, 3)
		records := make([]*record.Record, len(limits))
		for i := range limits {
			l := stint.Limit{ID: fmt.Sprint(i), Units: 1 + random.Int64N(9), Per: time.Second, Strategy: strategies[random.IntN(len(strategies))]}
			if limits[i], err = l.Compile(); err != nil {
				t.Fatal(err)
			}
			records[i] = new(record.Record)
		}
		for step := range 60 {
			now += random.Int64N(200_000)
			if random.IntN(10) == 0 {
				records[0].Block(now, now+50_000)
				if err := memory.Block(ctx, limits[0], "k", 50*time.Millisecond); err != nil {
					t.Fatal(err)
				}
			}
			claims := make([]stint.Claim, len(limits))
			inSteps := random.IntN(2) == 0
			for i, l := range limits {
				n := 1 + random.Int64N(2)
				claims[i] = stint.Claim{Limit: l, Key: "k", Op: stint.TakeOp(n)}
				if inSteps {
					claims[i].Op.Max *= 3
				}
				if i == 2 && random.IntN(5) == 0 {
					claims[i].Op = stint.LookOp(n)
				}
			}
			got, want := make([]stint.Outcome, len(claims)), make([]stint.Outcome, len(claims))
			granted, err := record.StepAll(claims, records, now, noEarlier, got)
			if err != nil {
				t.Fatal(err)
			}
			if err := memory.All(ctx, claims, want); err != nil {
				t.Fatal(err)
			}
			for i := range claims {
				if !granted && want[i].Granted > 0 && got[i].Granted > 0 {
					got[i].Granted = want[i].Granted // of a refused call only whether it would have been granted says something
				}
				if got[i] != want[i] {
					t.Fatalf("seed %d step %d claim %d of %+v: got %+v, want %+v", seed, step, i, claims, got[i], want[i])
				}
			}
		}
		memory.Close()
	}
}

// What was counted under other values is carried over, and a refusal leaves it as it was.
func TestCarriesOver(t *testing.T) {
	old, l := compiled(t, stint.PerHour(10)), compiled(t, stint.PerHour(20))
	var r record.Record
	if o, changed := r.Step(old, start, stint.TakeOp(5), noEarlier); !changed || o.Granted != 5 {
		t.Fatalf("%+v", o)
	}
	asked := 0
	earlier := func(l *stint.Limit, variant uint64) (*stint.Limit, error) {
		if asked++; variant != old.Variant() {
			t.Errorf("asked for variant %x", variant)
		}
		return l.WithValues(old.Values())
	}
	if o, changed := r.Step(l, start+1, stint.LookOp(1), earlier); changed || o.Remaining != 10 || r.Variant != old.Variant() {
		t.Fatalf("half of 10 used looks like %+v of 20, changed: %v", o, changed)
	}
	if o, changed := r.Step(l, start+1, stint.TakeOp(11), earlier); changed || o.Granted != 0 || r.Variant != old.Variant() {
		t.Fatalf("a refusal: %+v, changed: %v", o, changed)
	}
	if o, changed := r.Step(l, start+1, stint.TakeOp(10), earlier); !changed || o.Granted != 10 || r.Variant != l.Variant() {
		t.Fatalf("the rest: %+v, changed: %v", o, changed)
	}
	if asked != 3 {
		t.Fatalf("asked %d times", asked)
	}
	asked = 0
	if o, _ := r.Step(old, start+2*time.Hour.Microseconds(), stint.TakeOp(10), earlier); o.Granted != 10 || asked != 0 {
		t.Fatalf("a record that may be forgotten: %+v, asked %d times", o, asked)
	}
	broken := errors.New("the store is gone")
	var other record.Record
	other.Step(old, start, stint.TakeOp(5), noEarlier)
	if o, changed := other.Step(l, start, stint.TakeOp(1), func(*stint.Limit, uint64) (*stint.Limit, error) { return nil, broken }); changed || !errors.Is(o.Err, broken) {
		t.Fatalf("values that cannot be read: %+v, changed: %v", o, changed)
	}
}

// A reset voids the receipts of before it for as long as they could be worth anything, and the record is kept for as long.
func TestResetVoidsReceipts(t *testing.T) {
	l := compiled(t, stint.PerHour(10))
	var r record.Record
	r.Step(l, start, stint.TakeOp(10), noEarlier)
	r.Step(l, start+5, stint.ResetOp(), noEarlier)
	r.Step(l, start+5, stint.TakeOp(10), noEarlier)
	if o, changed := r.Step(l, start+9, stint.RefundOp(10, start), noEarlier); changed || o.Granted != 0 {
		t.Fatalf("a receipt of before the reset: %+v", o)
	}
	if o, _ := r.Step(l, start+9, stint.RefundOp(4, start+5), noEarlier); o.Granted != 0 {
		t.Fatalf("a receipt of the reset's instant: %+v", o)
	}
	if r.Until(l) < start+5+l.Horizon() {
		t.Fatalf("kept until %d", r.Until(l))
	}
	later := start + 6 + l.Horizon()
	if _, changed := r.Step(l, later, stint.TakeOp(1), noEarlier); !changed || r.Reset != 0 {
		t.Fatalf("a reset that no longer matters is kept: %+v", r)
	}
	if o, changed := r.Step(l, later+5, stint.RefundOp(1, later), noEarlier); !changed || o.Granted != 1 {
		t.Fatalf("a receipt of after the reset: %+v", o)
	}
	if o, _ := r.Step(l, later, stint.RefundOp(1, later+1), noEarlier); o.Granted != 0 {
		t.Fatalf("a receipt of the future: %+v", o)
	}
}

func TestClockOutOfRange(t *testing.T) {
	l := compiled(t, stint.PerHour(10))
	for _, now := range []int64{-1, stint.MaxInstant + 1, math.MaxInt64} {
		var r record.Record
		if o, changed := r.Step(l, now, stint.TakeOp(1), noEarlier); changed || !errors.Is(o.Err, stint.ErrClock) {
			t.Errorf("at %d: %+v", now, o)
		}
		into := make([]stint.Outcome, 1)
		if granted, err := record.StepAll([]stint.Claim{{Limit: l, Key: "k", Op: stint.TakeOp(1)}}, []*record.Record{&r}, now, noEarlier, into); granted || !errors.Is(err, stint.ErrClock) {
			t.Errorf("all at %d: %v", now, err)
		}
	}
}
