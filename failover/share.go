package failover

import (
	"math"
	"time"

	"github.com/stint-go/stint"
)

// shareOf is what one of k instances enforces of the limit by itself: rate and capacity divided by k and rounded down, the capacity
// at least 1. Where a window would hold less than one unit it is made longer, so that the rate is never more than its share. Only
// windows by the calendar and slots, whose spans mean something, keep them.
func shareOf(l *stint.Limit, k int64) (*stint.Limit, error) {
	share := stint.Limit{ID: l.ID, Units: l.Units, Per: l.Per, Strategy: l.Strategy, OnChange: l.OnChange}
	if l.Units == 0 {
		return share.Compile()
	}
	switch l.Strategy.(type) {
	case stint.TokenBucket, stint.Pacing:
		share.Burst = max(1, l.Capacity()/k)
		share.Per = times(l.Per, k, 1) // the same units in a longer time: exact
	case stint.CalendarWindow, stint.Concurrency:
		share.Units = max(1, l.Units/k)
	case stint.IntervalBucket:
		share.Burst = max(1, l.Capacity()/k)
		share.Units, share.Per = fewer(l.Units, l.Per, k)
	default:
		share.Units, share.Per = fewer(l.Units, l.Per, k)
	}
	return share.Compile()
}

// fewer is a k-th of the units, or one in so much longer a period.
func fewer(units int64, per time.Duration, k int64) (int64, time.Duration) {
	if units >= k {
		return units / k, per
	}
	return 1, times(per, k, units)
}

// times is d·k/n, rounded up to a tick. Where that is too long for a Duration it is one that only Closed can stand in for.
func times(d time.Duration, k, n int64) time.Duration {
	const longest = math.MaxInt64 / 2 / 1000 * time.Microsecond
	if d > longest/time.Duration(k) {
		return longest
	}
	if n == 1 {
		return d * time.Duration(k) // a bucket takes any length
	}
	whole := n * int64(stint.Tick)
	return time.Duration((int64(d)*k+whole-1)/whole) * stint.Tick
}
