package limittest

import (
	"time"

	"github.com/stint-go/stint"
)

// usual are the limits that a strategy is tried with: every usual rate, rates that divide no tick, and extremes, each with and
// without a burst, as far as the strategy accepts them.
func usual(s stint.Strategy) []*stint.Limit {
	const year = 365 * 24 * time.Hour
	limits := []stint.Limit{
		stint.PerSecond(1), stint.PerSecond(3), stint.PerSecond(7), stint.PerSecond(10), stint.PerSecond(1000),
		stint.PerMinute(1), stint.PerMinute(100), stint.PerHour(1), stint.PerHour(100), stint.PerHour(1023), stint.PerDay(5),
		{Units: 1, Per: stint.Tick}, {Units: 3, Per: stint.Tick}, {Units: 2, Per: 7 * stint.Tick}, {Units: 1000, Per: stint.Tick},
		{Units: 7, Per: 3 * time.Millisecond}, {Units: 5, Per: 90 * time.Second}, {Units: 333, Per: 77777 * stint.Tick},
		{Units: 1, Per: year}, {Units: 12, Per: year}, {Units: 700_000, Per: time.Hour}, {Units: 123_457, Per: time.Second},
		{Units: 3, Per: 1500 * time.Nanosecond}, {Units: 1, Per: time.Nanosecond}, {Units: 2_000_003, Per: 1_000_003 * stint.Tick},
		{Units: 1 << 40, Per: time.Hour}, {Units: 0, Per: time.Second},
	}
	type values struct {
		units, burst int64
		per          time.Duration
	}
	seen := map[values]bool{}
	var compiled []*stint.Limit
	for _, l := range limits {
		for _, burst := range []int64{0, 1, 5, 100, 2 * l.Units} {
			c, err := l.WithBurst(burst).WithStrategy(s).Compile()
			if err != nil || seen[values{c.Units, c.Capacity(), c.Per}] {
				continue
			}
			seen[values{c.Units, c.Capacity(), c.Per}] = true
			compiled = append(compiled, c)
		}
	}
	return compiled
}

// countsExactly says whether a strategy counts a limit without any rounding. A log does up to 1,024 runs a key.
func countsExactly(l *stint.Limit) bool {
	switch l.Strategy.(type) {
	case stint.SlidingLog, stint.Concurrency:
		return l.Capacity() <= 1024
	}
	return true
}

// booksAhead says whether a built-in strategy can book ahead.
func booksAhead(s stint.Strategy) bool {
	switch s.(type) {
	case stint.TokenBucket, stint.Pacing:
		return true
	}
	return false
}

// countsUnits says whether a new key admits its capacity in single units at one instant. Pacing does not.
func countsUnits(l *stint.Limit) bool {
	return newRig(l, false).apply(stint.TakeOp(1)).Remaining == l.Capacity()-1
}
