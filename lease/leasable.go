package lease

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/stint-go/stint"
)

// leasable says whether units of the limit may be spent later than they were charged, within a bound that does not depend on how
// many processes do so.
func leasable(l *stint.Limit) bool {
	switch l.Strategy.(type) {
	case stint.TokenBucket, stint.FixedWindow, stint.IntervalBucket, stint.CalendarWindow:
		return true
	}
	return false
}

// refusal is the error for a limit that is not leasable, or nil.
func (s *Store) refusal(l *stint.Limit) error {
	if s.options.Others == PassThrough || s.blocks.Load() != nil || leasable(l) || l.Strategy.Name() == "unlimited" {
		return nil
	}
	return &stint.LimitError{ID: l.ID, Reason: fmt.Sprintf("strategy %s cannot be leased within a bound; take token-bucket, interval-bucket, fixed-window "+
		"or calendar-*, or let such limits pass straight to the store (lease.Options.Others)", l.Strategy.Name())}
}

// windowLeft is how long, in ticks, units may be spent whose charge was answered with such a reset: until the period ends in which
// they were charged. A token bucket has none.
func windowLeft(l *stint.Limit, reset int64) int64 {
	switch l.Strategy.(type) {
	case stint.TokenBucket:
		return math.MaxInt64
	case stint.CalendarWindow:
		return max(0, reset) // a window's reset is its end
	}
	// An interval bucket's reset may be several periods away, each ending as many before it.
	if reset <= 0 {
		return 0
	}
	return (reset-1)%l.Ticks() + 1
}

// healed says whether a token bucket has refilled, in so many nanoseconds, all of n units: then nothing is left to give back.
func healed(l *stint.Limit, n, ns int64) bool {
	if _, bucket := l.Strategy.(stint.TokenBucket); !bucket {
		return false
	}
	hi, lo := bits.Mul64(uint64(n), uint64(l.Per))
	hi2, lo2 := bits.Mul64(uint64(l.Units), uint64(max(0, ns)))
	return hi < hi2 || hi == hi2 && lo <= lo2
}

// same says whether two limits with one ID have the same values.
func same(a, b *stint.Limit) bool {
	if a == b {
		return true
	}
	return a.Units == b.Units && a.Per == b.Per && a.Capacity() == b.Capacity() && a.Strategy.Name() == b.Strategy.Name()
}
