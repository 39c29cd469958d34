package redisstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// Two processes whose clocks differ by hours, or days, share a limit exactly: no clock but the server's enters what is counted.
func TestSkewedClocks(t *testing.T) {
	emptied(t)
	for _, skew := range []time.Duration{time.Hour, -time.Hour, 40 * 24 * time.Hour, -400 * 24 * time.Hour} {
		here, there := opened(t, Options{}), opened(t, Options{})
		there.guess = func() int64 { return time.Now().Add(skew).UnixMicro() }
		for _, strategy := range []stint.Strategy{
			stint.TokenBucket{}, stint.FixedWindow{}, stint.SlidingCounter{}, stint.IntervalBucket{}, stint.SlidingLog{}, stint.CalendarWindow{Every: stint.Month},
		} {
			limit := stint.Limit{Units: 30, Per: 1000 * 24 * time.Hour, Strategy: strategy, ID: fmt.Sprint(t.Name(), strategy.Name(), skew)}
			l, err := limit.Compile()
			if err != nil {
				t.Fatal(err)
			}
			var granted atomic.Int64
			for i := range 40 {
				s := []*Store{here, there}[i%2]
				a, m, err := s.One(context.Background(), l, "k", stint.TakeOp(1))
				if err != nil {
					t.Fatal(err)
				}
				if off := time.Since(time.UnixMicro(m.At())); off.Abs() > time.Minute {
					t.Fatalf("%s: decided at an instant %v from the server's", strategy.Name(), off)
				}
				granted.Add(a.Granted)
			}
			if granted.Load() != 30 {
				t.Errorf("%s, clocks %v apart: %d of 30 granted", strategy.Name(), skew, granted.Load())
			}
		}
	}
}
