package stint

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The bucket's short take says and leaves what Apply does, on any state that a store may hold.
func TestTakeBucketIsApply(t *testing.T) {
	source := rand.New(rand.NewPCG(3, 4))
	number := func() int64 { return source.Int64() >> source.IntN(63) }
	for range 300_000 {
		l, err := Limit{Units: number() + 1, Per: time.Duration(number() + 1), Burst: number() + 1, Strategy: TokenBucket{}}.Compile()
		if err != nil || !l.narrow {
			continue
		}
		now := number() % MaxInstant
		a := max(0, (now+number()%maxFill-number()%maxFill)<<fractionBits|source.Int64N(maxP))
		n := max(1, number())
		want, answer := TokenBucket{}.Apply(State{A: a}, l, now, TakeOp(n))
		next, granted := l.takeBucket(a, now, n)
		if granted != (answer.Granted == n) || next != want.A {
			t.Fatalf("%d per %v burst %d, state %d, at %d, take %d: %d, %v; Apply says %d, %d", l.Units, l.Per, l.Burst, a, now, n, next, granted, want.A, answer.Granted)
		}
	}
}

// An empty key of a batch is refused, and charges nobody.
func TestEmptyKeysOfABatch(t *testing.T) {
	for _, limit := range []Limit{PerHour(1).WithBurst(1), PerHour(1)} {
		l, err := New(limit)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			allowed := []bool{true, true, true}
			if err := l.AllowMany([]string{"", "a", ""}, allowed); err != nil || allowed[0] || allowed[2] {
				t.Errorf("%v: %v, error %v", limit, allowed, err)
			}
		}
		if keys := l.own.Stats().Keys; keys != 1 {
			t.Errorf("%v: %d keys", limit, keys)
		}
	}
}
