package stint

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// builtIn is every strategy of this package.
func builtIn() []Strategy {
	return []Strategy{
		TokenBucket{}, Pacing{}, IntervalBucket{}, FixedWindow{}, SlidingCounter{}, SlidingLog{}, Concurrency{},
		CalendarWindow{Every: Week, WeekEnds: time.Friday}, CalendarWindow{Every: Month}, unlimited{},
	}
}

// extremes are numbers that arithmetic trips over.
var extremes = []int64{
	1, 2, 3, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 1<<31 - 1, 1 << 32, 1<<50 - 1, 1 << 50, 1<<52 - 1, 1 << 52, 1<<53 + 1,
	1<<60 - 1, 1 << 60, 1 << 61, 1<<61 + 1, 1 << 62, math.MaxInt64 - 1, math.MaxInt64,
}

// extreme draws a number from 0 up, often an extreme one.
func extreme(random *rand.Rand) int64 {
	switch random.IntN(4) {
	case 0:
		return random.Int64N(10)
	case 1:
		return random.Int64() >> random.IntN(63)
	}
	return extremes[random.IntN(len(extremes))]
}

// FuzzApply does random operations on every strategy, whatever the limit, the instants and the costs.
func FuzzApply(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, int64(0), int64(0), int64(0))
	}
	for _, n := range extremes {
		f.Add(uint64(n), n, n, int64(0))
		f.Add(uint64(n), n, int64(1000), n)
		f.Add(uint64(n), int64(1), int64(1000), n)
		f.Add(uint64(n), n, int64(time.Hour), int64(0))
	}
	f.Fuzz(func(t *testing.T, seed uint64, units, per, burst int64) {
		random := rand.New(rand.NewPCG(seed, 1))
		for _, strategy := range builtIn() {
			limit := Limit{Units: units, Per: time.Duration(per), Burst: burst, Strategy: strategy}
			if per == 0 {
				limit.Units, limit.Per = extreme(random), time.Duration(extreme(random))
				if random.IntN(2) == 0 {
					limit.Per = time.Duration(extreme(random)) * Tick
				}
			}
			if l, err := limit.Compile(); err == nil {
				fuzzApply(t, l, random)
			}
		}
	})
}

func fuzzApply(t *testing.T, l *Limit, random *rand.Rand) {
	t.Helper()
	var s State
	now := traceStart
	for range 60 {
		switch random.IntN(8) {
		case 0:
			now = min(extreme(random), 1<<62)
		case 1, 2:
			now = min(now, 1<<61) + extreme(random)>>(2+random.IntN(61))
		}
		if random.IntN(40) == 0 {
			// What a store should never give: it may not panic.
			s.A, s.B, s.C = extreme(random), extreme(random)-extreme(random), extreme(random)
			_, _ = l.Strategy.Apply(s, l, now, TakeOp(1))
			_, _ = l.Strategy.Apply(s, l, now, RefundOp(1, now))
			s = State{}
		}
		n := max(1, extreme(random))
		var op Op
		switch random.IntN(9) {
		case 0, 1:
			op = TakeOp(n)
		case 2, 3:
			op = UpToOp(n)
		case 4:
			op = WithinOp(n, extreme(random))
		case 5:
			op = ChargeOp(n)
		case 6:
			op = LookOp(n)
		case 7:
			op = CreditOp(n)
		case 8:
			op = RefundOp(n, extreme(random))
			if random.IntN(2) == 0 {
				op = RefundOp(n, max(1, now-random.Int64N(1<<20)))
			}
			if random.IntN(5) == 0 {
				op = UndoOp(n, max(1, extreme(random)))
			}
		}
		var cells []Pair
		if s.Log != nil {
			cells = growCells(s, 0).Log.Pairs()
		}
		next, a := l.Strategy.Apply(s, l, now, op)
		fail := func(what string) {
			t.Helper()
			t.Fatalf("%s: %s %d/%v burst %d, at %d, %+v on %+v: %+v, %+v", what, l.Strategy.Name(), l.Units, l.Per, l.Burst, now, op, s, next, a)
		}
		granted := a.Granted > 0
		switch {
		case a.Remaining < 0 || a.Remaining > l.capacity:
			fail("remaining")
		case a.Wait < 0 || a.Reset < 0 || a.Granted < 0:
			fail("less than nothing")
		case op.Kind() == Grant && granted && (a.Granted < op.Min || a.Granted > op.Max || a.Granted > l.capacity):
			fail("granted")
		case op.Kind() == Grant && !granted && (next != s || a.Wait == 0):
			fail("refused")
		case op.Kind() == Look && (next != s || granted):
			fail("looked")
		case op.Max < 0 && a.Granted > -op.Max:
			fail("given back")
		case op.Kind() == Refund && !granted && next != s && l.q == 0: // a bucket gives back fractions, too
			fail("worthless")
		}
		for i := range len(cells) - 1 {
			if growCells(s, 0).Log.Pairs()[i] != cells[i] {
				fail("wrote a cell that counts")
			}
		}
		s = next
	}
}
