package stint

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// mustCompile is the limit compiled, or the end of the test.
func mustCompile(t testing.TB, l Limit) *Limit {
	t.Helper()
	c, err := l.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cellsFor is what a store lends to a new key.
func cellsFor(l *Limit) *Cells {
	if l.words <= 3 {
		return nil
	}
	return NewCells(fewCells)
}

// What is left after a change, and how it grows from there, in ticks.
func TestCarryBuckets(t *testing.T) {
	bucket := func(units, per, burst int64, how Carry) Limit {
		return Limit{Units: units, Per: time.Duration(per) * Tick, Burst: burst, OnChange: how, Strategy: TokenBucket{}}
	}
	type left struct{ at, n int64 }
	for _, c := range []struct {
		name      string
		from, to  Limit
		used      int64 // at 0
		charged   int64 // at the change
		change    int64
		remaining []left
	}{
		{"nothing", bucket(3, 5, 3, 0), bucket(60, 1000, 60, CarryNothing), 3, 0, 3, []left{{3, 60}}},
		{"as is, with the fraction: 0.8 and 0.24 make one", bucket(3, 5, 3, 0), bucket(60, 1000, 60, CarryUnits), 3, 0, 3, []left{{3, 1}, {7, 2}}},
		{"as is, at most the new capacity", bucket(100, 100, 500, 0), bucket(100, 100, 200, CarryUnits), 1, 0, 0, []left{{0, 200}}},
		{"as is, a lower limit bites", bucket(100, 60000, 100, 0), bucket(10, 60000, 10, CarryUnits), 95, 0, 0, []left{{0, 5}}},
		{"additive", bucket(100, 100, 500, 0), bucket(100, 100, 900, CarryAdded), 300, 0, 0, []left{{0, 600}}},
		{"additive, to less", bucket(100, 100, 900, 0), bucket(100, 100, 500, CarryAdded), 300, 0, 0, []left{{0, 500}}},
		{"the share", bucket(3, 5, 3, 0), bucket(60, 1000, 60, CarryShare), 3, 0, 3, []left{{3, 36}, {7, 36}, {20, 37}}},
		{"the share, with the fraction 1/8", bucket(6, 8, 6, 0), bucket(3, 8, 3, CarryShare), 6, 0, 3, []left{{3, 1}, {5, 1}, {6, 2}}},
		{"the share of a debt, -2 and 5/8", bucket(6, 8, 6, 0), bucket(3, 8, 3, CarryShare), 6, 5, 3, []left{{3, 0}, {6, 0}, {7, 0}, {9, 0}, {10, 1}}},
	} {
		from, to := mustCompile(t, c.from), mustCompile(t, c.to)
		s, _ := from.Strategy.Apply(State{}, from, 0, TakeOp(c.used))
		if c.charged > 0 {
			s, _ = from.Strategy.Apply(s, from, c.change, ChargeOp(c.charged))
		}
		s = carry(from, s, c.change, to, c.change, nil)
		for _, want := range c.remaining {
			if _, a := to.Strategy.Apply(s, to, want.at, LookOp(1)); a.Remaining != want.n {
				t.Errorf("%s: %d left at %d, want %d", c.name, a.Remaining, want.at, want.n)
			}
		}
	}
}

// A sliding log's runs keep their age, as a share of the period.
func TestCarryLog(t *testing.T) {
	from, to := mustCompile(t, PerMinute(10)), mustCompile(t, PerHour(100))
	const second, minute = int64(time.Second / Tick), int64(time.Minute / Tick)
	s := State{Log: cellsFor(from)}
	for _, at := range []int64{0, 15 * second, 30 * second} {
		s, _ = from.Strategy.Apply(s, from, at, TakeOp(2))
	}
	s = carry(from, s, 45*second, to, 45*second, cellsFor(to))
	// The ages 45, 30 and 15 seconds of a minute are 45, 30 and 15 minutes of an hour.
	for _, c := range []struct{ after, remaining int64 }{
		{0, 40}, {15*minute - 1, 40}, {15 * minute, 60}, {30 * minute, 80}, {45*minute - 1, 80}, {45 * minute, 100},
	} {
		if _, a := to.Strategy.Apply(s, to, 45*second+c.after, LookOp(1)); a.Remaining != c.remaining {
			t.Errorf("%d left after %d, want %d", a.Remaining, c.after, c.remaining)
		}
	}
	// And back again nothing has changed.
	s = carry(to, s, 45*second, from, 45*second, cellsFor(from))
	if _, a := from.Strategy.Apply(s, from, 60*second, LookOp(1)); a.Remaining != 6 {
		t.Errorf("%d left when the first has gone, want 6", a.Remaining)
	}
}

// An interval bucket's period goes on.
func TestCarryInterval(t *testing.T) {
	from, to := mustCompile(t, PerMinute(10).WithStrategy(IntervalBucket{})), mustCompile(t, PerMinute(20).WithStrategy(IntervalBucket{}))
	const second = int64(time.Second / Tick)
	s, _ := from.Strategy.Apply(State{}, from, 0, TakeOp(10))
	for now := range 59 * second / second {
		s = carry(from, s, now*second, to, now*second, nil)
		from, to = to, from
	}
	if _, a := from.Strategy.Apply(s, from, 59*second, TakeOp(1)); a.Granted != 0 || a.Wait != second {
		t.Errorf("after many changes %+v", a)
	}
}

// changeableLimits is a limit of each strategy, and several of some.
func changeableLimits() []Limit {
	return []Limit{
		PerSecond(10).WithBurst(20),
		PerHour(100).WithBurst(7),
		{Units: 600_000_001, Per: time.Second, Burst: 600, Strategy: TokenBucket{}},
		PerMinute(10),
		PerHour(1000),
		PerDay(100_000),
		PerMinute(30).WithStrategy(IntervalBucket{}),
		PerHour(30).WithBurst(100).WithStrategy(IntervalBucket{}),
		PerMinute(100).WithStrategy(FixedWindow{}),
		PerHour(7).WithStrategy(FixedWindow{}),
		PerMinute(100).WithStrategy(SlidingCounter{}),
		PerHour(1000).WithStrategy(SlidingCounter{}),
		PerMinute(5_000_000).WithStrategy(SlidingCounter{}),
		PerMinute(10).WithStrategy(Concurrency{}),
		PerSecond(10).WithBurst(5).WithStrategy(Pacing{}),
		PerCalendarMonth(1000, nil),
	}
}

// However a key was used and whatever the change: the used share never shrinks, there and back nothing is gained, full stays
// full, empty stays empty, and nothing outlasts the new limit's own memory.
func TestCarryGainsNothing(t *testing.T) {
	limits := changeableLimits()
	for i, one := range limits {
		for k, other := range limits {
			from, to := mustCompile(t, one), mustCompile(t, other)
			t.Run(fmt.Sprintf("%d_to_%d", i, k), func(t *testing.T) {
				for seed := range uint64(20) {
					checkCarry(t, from, to, seed)
				}
			})
		}
	}
}

func checkCarry(t *testing.T, from, to *Limit, seed uint64) {
	t.Helper()
	now := traceStart
	random := rand.New(rand.NewPCG(seed, 5))
	if s := carry(from, State{Log: cellsFor(from)}, now, to, now, cellsFor(to)); !s.Forgettable(now) {
		t.Fatalf("a full key became %+v", s)
	}
	s := State{Log: cellsFor(from)}
	for range 1 + random.IntN(20) {
		op := UpToOp(1 + random.Int64N(from.capacity))
		if random.IntN(10) == 0 {
			op = ChargeOp(1 + random.Int64N(from.capacity))
		}
		s, _ = from.Strategy.Apply(s, from, now, op)
		now += random.Int64N(max(2, from.span()/10))
	}
	if seed%4 == 0 {
		s, _ = from.Strategy.Apply(s, from, now, ChargeOp(from.capacity))
	}
	used := from.used(s, now)
	share := func(l *Limit, used *big.Rat) *big.Rat { return new(big.Rat).Quo(used, wholeUnits(l.capacity)) }
	next := carry(from, s, now, to, now, cellsFor(to))
	carried := to.used(next, now)
	most := func(l *Limit, used *big.Rat) bool { return l.most > 0 && used.Cmp(wholeUnits(l.most)) >= 0 }
	if share(to, carried).Cmp(share(from, used)) < 0 && !most(to, carried) {
		t.Fatalf("%v of %d used became %v of %d", used, from.capacity, carried, to.capacity)
	}
	if used.Cmp(wholeUnits(from.capacity)) >= 0 {
		if _, a := to.Strategy.Apply(next, to, now, LookOp(1)); a.Remaining != 0 {
			t.Fatalf("an empty key has %d left", a.Remaining)
		}
	}
	_, a := to.Strategy.Apply(next, to, now, LookOp(1))
	filled, _ := to.Strategy.Apply(State{Log: cellsFor(to)}, to, now, ChargeOp(roundedUp(carried)))
	_, longest := to.Strategy.Apply(filled, to, now, LookOp(1))
	if a.Reset > longest.Reset {
		t.Fatalf("lasts for %d, longer than %d, which is what it would taken now", a.Reset, longest.Reset)
	}
	back := from.used(carry(to, next, now, from, now, cellsFor(from)), now)
	if back.Cmp(used) < 0 && !most(to, carried) && !most(from, back) {
		t.Fatalf("%v used became %v there and back", used, back)
	}
	// A state that a change made is one that the strategy can go on with.
	for range 20 {
		next, _ = to.Strategy.Apply(next, to, now, UpToOp(1+random.Int64N(to.capacity)))
		now += random.Int64N(max(2, to.span()/10))
	}
}

func TestCarryOthers(t *testing.T) {
	bucket, zero, all := mustCompile(t, PerHour(10).WithBurst(10)), mustCompile(t, PerHour(0)), mustCompile(t, Unlimited())
	s, _ := bucket.Strategy.Apply(State{}, bucket, traceStart, TakeOp(5))
	for _, to := range []*Limit{zero, all} {
		if n := carry(bucket, s, traceStart, to, traceStart, nil); !n.Forgettable(traceStart) {
			t.Errorf("%s: %+v", to.ID, n)
		}
	}
	for _, from := range []*Limit{zero, all} {
		if n := carry(from, State{A: traceStart << 12}, traceStart, bucket, traceStart, nil); !n.Forgettable(traceStart) {
			t.Errorf("%s: %+v", from.ID, n)
		}
	}
	// A user's own strategy is asked and charged.
	own := mustCompile(t, Limit{Units: 4, Per: time.Hour, Strategy: ownStrategy{}})
	n := carry(bucket, s, traceStart, own, traceStart, nil)
	if _, a := own.Strategy.Apply(n, own, traceStart, LookOp(1)); a.Remaining != 2 {
		t.Errorf("to a strategy of one's own: %+v", a)
	}
	if _, a := bucket.Strategy.Apply(carry(own, n, traceStart, bucket, traceStart, nil), bucket, traceStart, LookOp(1)); a.Remaining != 5 {
		t.Errorf("and back: %+v", a)
	}
}

// ownStrategy is a fixed window of a user's, under a name of its own.
type ownStrategy struct{ FixedWindow }

func (ownStrategy) Name() string { return "own" }
