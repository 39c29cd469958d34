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
