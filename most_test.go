package stint_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// every is a limit of each built-in strategy.
var every = []string{
	"100/hour burst 20", "100/hour burst 100", "7/s burst 3", "100/hour pacing", "5/s burst 2 pacing", "10/s", "100/hour interval-bucket", "5/s burst 12 interval-bucket",
	"10/s fixed-window", "10/s sliding-window-counter", "100/calendar day",
}

func TestMost(t *testing.T) {
	for _, c := range []struct {
		limit  string
		span   time.Duration
		atOnce int64
		most   int64
	}{
		{"100/hour burst 100", time.Hour, 100, 200},
		{"100/hour burst 20", time.Hour, 20, 120},
		{"100/hour burst 20", time.Nanosecond, 20, 20},
		{"100/hour burst 20", 90 * time.Minute, 20, 170},
		{"100/hour pacing", time.Hour, 100, 200},
		{"100/hour", time.Hour, 100, 100},
		{"100/hour", time.Hour + 1, 100, 200},
		{"100/hour", time.Minute, 100, 100},
		{"100/hour fixed-window", time.Hour, 100, 200},
		{"100/hour sliding-window-counter", time.Hour, 100, 200},
		{"100/hour interval-bucket", time.Hour, 100, 200},
		{"100/hour burst 300 interval-bucket", 2 * time.Hour, 300, 500},
		{"100/hour concurrency", time.Hour, 100, math.MaxInt64},
		{"100/calendar day", 24 * time.Hour, 100, 200},
		{"unlimited", time.Hour, math.MaxInt64, math.MaxInt64},
		{"0/s", time.Hour, 0, 0},
		{"9000000000000000/s burst 1", math.MaxInt64, 1, math.MaxInt64},
		{"100/hour", 0, 100, 0},
	} {
		l, err := stint.ParseLimit(c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.AtOnce(); got != c.atOnce {
			t.Errorf("%s: %d at once, want %d", c.limit, got, c.atOnce)
		}
		if got := l.MostIn(c.span); got != c.most {
			t.Errorf("%s: %d in %v, want %d", c.limit, got, c.span, c.most)
		}
	}
	bad := stint.Limit{Units: -1, Per: time.Second}
	if bad.AtOnce() != 0 || bad.MostIn(time.Hour) != 0 {
		t.Error("a limit that is refused grants something")
	}
}

// No greedy caller gets more than MostIn says, in any span, and the bound is not idle: a third of it is reached.
func TestMostIsABound(t *testing.T) {
	for _, text := range every {
		t.Run(text, func(t *testing.T) {
			limit, err := stint.ParseLimit(text)
			if err != nil {
				t.Fatal(err)
			}
			now := int64(1e15)
			store, err := stint.NewMemory(stint.MemoryOptions{Clock: func() int64 { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			l, err := stint.NewWith(stint.Options{Store: store}, limit)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			r := rand.New(rand.NewPCG(1, 2))
			var at, units []int64
			per := int64(limit.Per / stint.Tick)
			for range 4000 {
				switch r.IntN(4) {
				case 0:
					now += r.Int64N(per/4 + 1)
				case 1:
					now += r.Int64N(per/100 + 1)
				case 2:
					now = now/per*per + per - 1 // the end of a window
				}
				d, err := l.TakeUpTo(context.Background(), "k", 1+r.Int64N(limit.AtOnce()))
				if err != nil {
					t.Fatal(err)
				}
				if d.Granted > 0 {
					at, units = append(at, now), append(units, d.Granted)
				}
			}
			for _, span := range []time.Duration{limit.Per / 3, limit.Per, 2*limit.Per + limit.Per/7} {
				most, first, sum, bound := int64(0), 0, int64(0), limit.MostIn(span)
				for i := range at {
					sum += units[i]
					for at[first] <= at[i]-int64(span/stint.Tick) {
						sum -= units[first]
						first++
					}
					most = max(most, sum)
				}
				if most > bound || most < bound/3 {
					t.Errorf("%d in %v, the bound is %d", most, span, bound)
				}
			}
		})
	}
}

func ExampleLimit_MostIn() {
	for _, text := range []string{"100/hour", "100/hour burst 100", "100/hour fixed-window"} {
		limit, err := stint.ParseLimit(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %d at once, %d in the worst hour\n", text, limit.AtOnce(), limit.MostIn(time.Hour))
	}
	// Output:
	// 100/hour: 100 at once, 100 in the worst hour
	// 100/hour burst 100: 100 at once, 200 in the worst hour
	// 100/hour fixed-window: 100 at once, 200 in the worst hour
}
