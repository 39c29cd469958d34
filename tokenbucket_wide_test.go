package stint

import (
	"math"
	"math/big"
	"testing"
	"time"
)

// bucketReference is a token bucket in rational numbers.
type bucketReference struct {
	limit   *Limit
	rate    *big.Rat // units a tick
	seen    int64
	missing *big.Rat // units, at seen
}

func newBucketReference(l *Limit) *bucketReference {
	rate := big.NewRat(l.Units, int64(l.Per))
	return &bucketReference{limit: l, rate: rate.Mul(rate, big.NewRat(int64(Tick), 1)), missing: new(big.Rat)}
}

func (r *bucketReference) at(now int64) {
	refilled := new(big.Rat).Mul(r.rate, big.NewRat(now-r.seen, 1))
	r.seen = now
	if r.missing = new(big.Rat).Sub(r.missing, refilled); r.missing.Sign() < 0 {
		r.missing = new(big.Rat)
	}
}

// down and up are x as a whole number.
func down(x *big.Rat) *big.Int { return new(big.Int).Div(x.Num(), x.Denom()) }

func up(x *big.Rat) *big.Int { return new(big.Int).Neg(down(new(big.Rat).Neg(x))) }

func (r *bucketReference) room(now int64) *big.Int {
	r.at(now)
	return down(new(big.Rat).Sub(big.NewRat(r.limit.capacity, 1), r.missing))
}

func (r *bucketReference) take(now int64, n *big.Int) {
	r.at(now)
	r.missing = new(big.Rat).Add(r.missing, new(big.Rat).SetInt(n))
}

func (r *bucketReference) giveBack(now int64, back *big.Rat) int64 {
	r.at(now)
	if back.Sign() <= 0 {
		return 0
	}
	if back.Cmp(r.missing) > 0 {
		back = r.missing
	}
	r.missing = new(big.Rat).Sub(r.missing, back)
	return down(back).Int64()
}

func (r *bucketReference) refund(now, n, at int64) int64 {
	if r.at(now); r.missing.Cmp(big.NewRat(r.limit.capacity, 1)) > 0 {
		return 0 // in debt
	}
	healed := new(big.Rat).Mul(r.rate, big.NewRat(now-at, 1))
	return r.giveBack(now, healed.Sub(big.NewRat(n, 1), healed))
}

func (r *bucketReference) credit(now, n int64) int64 { return r.giveBack(now, big.NewRat(n, 1)) }

func (r *bucketReference) clear() { r.missing = new(big.Rat) }

func (r *bucketReference) reset(now int64) int64 {
	r.at(now)
	return up(new(big.Rat).Quo(r.missing, r.rate)).Int64()
}

func wideLimits(s Strategy) []Limit {
	return []Limit{
		{Units: 4_000_037, Per: 1009 * time.Microsecond, Strategy: s},
		{Units: 600_000_001, Per: time.Second, Burst: 600, Strategy: s},
		{Units: 99_991, Per: 9973 * time.Nanosecond, Burst: 12345, Strategy: s},
		{Units: 1, Per: time.Nanosecond, Burst: math.MaxInt64, Strategy: s},
		{Units: math.MaxInt64, Per: time.Hour, Strategy: s},
		{Units: 1, Per: Tick, Burst: math.MaxInt64 - 10, Strategy: s},
		{Units: 1<<59 - 1, Per: Tick, Strategy: s},
		{Units: 7, Per: time.Nanosecond, Strategy: s},
		{Units: 3, Per: 7 * time.Nanosecond, Burst: 50, Strategy: s},
	}
}

func narrowLimits(s Strategy) []Limit {
	return []Limit{
		{Units: 1, Per: time.Second, Strategy: s},
		{Units: 7, Per: time.Second, Burst: 20, Strategy: s},
		{Units: 100, Per: time.Hour, Strategy: s},
		{Units: 1_000_000_000, Per: time.Second, Burst: 5000, Strategy: s},
		{Units: 3, Per: 7 * time.Microsecond, Burst: 50, Strategy: s},
		{Units: 2039, Per: 1013 * time.Microsecond, Strategy: s},
		{Units: 10, Per: years(1) / 50, Strategy: s},
	}
}

func TestTokenBucketWide(t *testing.T) {
	runTraces(t, wideLimits(TokenBucket{}), func(l *Limit) reference {
		if !l.wide {
			t.Errorf("%d/%v is not wide", l.Units, l.Per)
		}
		return newBucketReference(l)
	})
}

func TestTokenBucket(t *testing.T) {
	runTraces(t, narrowLimits(TokenBucket{}), func(l *Limit) reference {
		if l.wide {
			t.Errorf("%d/%v is wide", l.Units, l.Per)
		}
		return newBucketReference(l)
	})
}

// Both forms count the same, so a limit that fits in one word must answer alike in three.
func TestTokenBucketFormsAgree(t *testing.T) {
	for _, limit := range narrowLimits(TokenBucket{}) {
		narrow, err := limit.Compile()
		if err != nil {
			t.Fatal(err)
		}
		three := *narrow
		three.wide, three.words = true, 3
		tr := newRandomOps(narrow, 11)
		var s, w State
		for range 3000 {
			now, op := tr.next()
			var a, b Answer
			s, a = narrow.Strategy.Apply(s, narrow, now, op)
			w, b = three.Strategy.Apply(w, &three, now, op)
			if a != b {
				t.Fatalf("%d/%v at %d, %+v: %+v in one word, %+v in three", limit.Units, limit.Per, now, op, a, b)
			}
		}
	}
}

// Numbers that others have tripped over.
func TestTokenBucketOverflows(t *testing.T) {
	type step struct{ now, n, granted, wait, remaining int64 }
	for _, c := range []struct {
		name  string
		limit Limit
		steps []step
	}{
		{"a capacity near 2^63 at one a tick", Limit{Units: 1, Per: Tick, Burst: math.MaxInt64 - 10}, []step{
			{0, 3, 3, 0, math.MaxInt64 - 13},
			{20, math.MaxInt64 - 10, math.MaxInt64 - 10, 0, 0},
			{20, 1, 0, 1, 0},
		}},
		{"2^59 units a tick", Limit{Units: 1<<59 - 1, Per: Tick, Strategy: TokenBucket{}}, []step{
			{0, 1<<59 - 8, 1<<59 - 8, 0, 7},
			{3, 1<<59 - 1, 1<<59 - 1, 0, 0},
			{3, 1, 0, 1, 0},
		}},
		{"2^32 units, 10 s each", Limit{Units: 1, Per: 10 * time.Second, Burst: 1<<32 - 1}, []step{
			{0, 1, 1, 0, 1<<32 - 2},
			{0, 1<<32 - 2, 1<<32 - 2, 0, 0},
			{0, 1, 0, 10_000_000, 0},
		}},
		{"600 million a second", Limit{Units: 600_000_000, Per: time.Second, Burst: 600}, []step{
			{0, 600, 600, 0, 0},
			{1, 601, 0, Forever, 600},
			{1, 600, 600, 0, 0},
		}},
		{"a million a day for ages", Limit{Units: 1_000_000, Per: 24 * time.Hour, Burst: 1000}, []step{
			{0, 1000, 1000, 0, 0},
			{MaxInstant, 1000, 1000, 0, 0},
		}},
	} {
		l := mustCompile(t, c.limit)
		var s State
		for _, want := range c.steps {
			next, a := l.Strategy.Apply(s, l, want.now, TakeOp(want.n))
			if a.Granted != want.granted || a.Wait != want.wait || a.Remaining != want.remaining {
				t.Errorf("%s: %+v: %+v", c.name, want, a)
			}
			s = next
		}
	}
}

// What is booked ahead is granted at instants that keep law 1, and can be undone while nobody has booked since.
func TestBookingAhead(t *testing.T) {
	for _, strategy := range []Strategy{TokenBucket{}, Pacing{}} {
		for _, limit := range []Limit{PerSecond(10).WithBurst(3), {Units: 600_000_001, Per: time.Second, Burst: 6000}} {
			l := mustCompile(t, limit.WithStrategy(strategy))
			s, now := State{}, traceStart
			for range 5 {
				s, _ = l.Strategy.Apply(s, l, now, WithinOp(l.capacity, 10*l.span()))
			}
			before := s
			s, a := l.Strategy.Apply(s, l, now, WithinOp(2, 10*l.span()))
			if a.Granted != 2 || a.Wait <= 0 {
				t.Fatalf("%s: %+v", strategy.Name(), a)
			}
			full := now + a.Reset
			other, b := l.Strategy.Apply(s, l, now, WithinOp(l.capacity, 20*l.span()))
			if b.Granted != l.capacity || b.Wait < a.Wait {
				t.Errorf("%s: the next is granted %+v, before %+v", strategy.Name(), b, a)
			}
			if n, _ := l.Strategy.Apply(other, l, now, UndoOp(2, full)); n != other {
				t.Errorf("%s: undone though somebody has booked since", strategy.Name())
			}
			if n, a := l.Strategy.Apply(s, l, now, UndoOp(2, full)); n != before || a.Granted != 2 {
				t.Errorf("%s: undone to %+v, was %+v", strategy.Name(), n, before)
			}
		}
	}
}

// Units that are booked ahead are granted at instants of their own: what a refund gave back meanwhile would be granted at one
// of them once more.
func TestRefundWhileBookedAhead(t *testing.T) {
	for _, l := range []Limit{PerSecond(1).WithBurst(1), {Units: 4_000_037, Per: 1009 * time.Millisecond, Burst: 1, Strategy: TokenBucket{}}} {
		c := mustCompile(t, l)
		now, s := int64(1e15), State{}
		for range 3 {
			s, _ = c.Strategy.Apply(s, c, now, WithinOp(1, 1e9))
		}
		if n, a := c.Strategy.Apply(s, c, now, RefundOp(1, now)); n != s || a.Granted != 0 {
			t.Errorf("%v: %d given back while two are booked ahead", c, a.Granted)
		}
	}
}
