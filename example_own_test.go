package stint_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// RestAfterBatch grants one batch of up to Units, whatever its size, and then nothing for Per.
type RestAfterBatch struct{}

func (RestAfterBatch) Name() string { return "rest-after-batch" }

// Words is 1: State.A, the end of the rest, is all there is to know.
func (RestAfterBatch) Words(*stint.Limit) int { return 1 }

func (RestAfterBatch) Compile(l *stint.Limit) error {
	if l.Ticks() == 0 || l.Per > 365*24*time.Hour {
		return &stint.LimitError{ID: l.ID, Reason: "a rest is whole microseconds, up to a year"}
	}
	return nil
}

func (RestAfterBatch) Apply(s stint.State, l *stint.Limit, now int64, op stint.Op) (stint.State, stint.Answer) {
	const fraction = 11 // State.A is an instant in 1/2048 ticks
	before := max(0, s.A>>fraction-now)
	rest, a := before, stint.Answer{Wait: before}
	switch op.Kind() {
	case stint.Look:
		if op.Min > l.Capacity() {
			a.Wait = stint.Forever
		}
	case stint.Grant:
		n := min(op.Max, l.Capacity())
		switch {
		case n < op.Min || n == 0:
			a.Wait = stint.Forever
		case before <= op.Wait: // now, or booked for the end of the rest
			a.Granted, rest = n, before+l.Ticks()
		}
	case stint.Charge:
		a.Granted, rest = op.Max, max(before, l.Ticks())
	case stint.Clear, stint.Credit:
		rest = 0
	default: // Refund: a batch that was granted cannot be taken back
	}
	if rest != before {
		s = stint.State{A: (now + rest) << fraction}
	}
	a.Reset = rest
	if rest == 0 {
		a.Remaining = min(1, l.Capacity())
	}
	return s, a
}

// A strategy of your own is one type, and works on every store.
func ExampleStrategy() {
	limiter, err := stint.New(stint.PerMinute(50).WithStrategy(RestAfterBatch{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	for _, n := range []int64{51, 30, 1} {
		d, err := limiter.Take(context.Background(), "newsletter", n)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n, d.Allowed, d.Reason)
	}
	// Output:
	// 51 false never
	// 30 true admitted
	// 1 false limited
}
