package stint

import (
	"math/big"
	"testing"
)

// pacingReference is a queue: its backlog is a bucket's missing units, and only an empty one has room.
type pacingReference struct {
	bucketReference
	last takenAt // the grant after which nobody came
}

func (r *pacingReference) room(now int64) *big.Int {
	if r.at(now); r.missing.Sign() > 0 {
		return new(big.Int)
	}
	return big.NewInt(r.limit.capacity)
}

func (r *pacingReference) take(now int64, n *big.Int) {
	if r.at(now); r.missing.Sign() == 0 {
		r.last = takenAt{now, n.Int64()}
	} else {
		r.last = takenAt{}
	}
	r.bucketReference.take(now, n)
}

func (r *pacingReference) refund(now, n, at int64) int64 {
	if r.last.at != at || r.last.n > n {
		return 0
	}
	r.last.n -= n
	return r.bucketReference.refund(now, n, at)
}

func TestPacing(t *testing.T) {
	for _, limits := range [][]Limit{narrowLimits(Pacing{}), wideLimits(Pacing{})} {
		runTraces(t, limits, func(l *Limit) reference {
			return &pacingReference{bucketReference: *newBucketReference(l)}
		})
	}
}

// Ten a second with largest cost 3: grants are spaced by the cost of the one before.
func TestPacingSpacesGrants(t *testing.T) {
	l, err := PerSecond(10).WithBurst(3).WithStrategy(Pacing{}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	var s State
	for _, step := range []struct {
		now     int64
		op      Op
		granted int64
		wait    int64
		why     string
	}{
		{0, TakeOp(1), 1, 0, "nothing is ahead"},
		{0, TakeOp(1), 0, 100_000, "one is ahead"},
		{0, WithinOp(3, 100_000), 3, 100_000, "worth the wait"},
		{0, WithinOp(1, 100_000), 0, 300_000, "the wait is 300 ms longer than it bears"},
		{0, WithinOp(4, 1_000_000), 0, Forever, "more than the largest cost"},
		{250_000, WithinOp(2, 150_000), 2, 150_000, "just worth it"},
		{250_000, RefundOp(3, 100_000), 0, 0, "somebody has come after"},
		{250_000, RefundOp(2, 400_000), 2, 0, "nobody has come after"},
		{250_000, WithinOp(1, 150_000), 1, 150_000, "in its place"},
		{500_000, TakeOp(1), 1, 0, "all are gone"},
		{500_000, ChargeOp(5), 5, 100_000, "regardless"},
		{500_000, LookOp(1), 0, 600_000, "after all of that"},
	} {
		next, a := l.Strategy.Apply(s, l, step.now, step.op)
		if a.Granted != step.granted || a.Wait != step.wait {
			t.Errorf("%s, %d %+v: granted %d, wait %d", step.why, step.now, step.op, a.Granted, a.Wait)
		}
		s = next
	}
}
