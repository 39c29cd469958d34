package limittest

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"github.com/stint-go/stint"
)

// Event is units admitted at an instant.
type Event struct{ At, Units int64 }

// NeverOver checks law 1 on the admitted events of one key, by the promise of the limit's strategy; events that were given
// back do not count. The error names the interval that broke it. For a strategy that is not built in it is nil.
func NeverOver(l *stint.Limit, events []Event) error { return NeverOverLate(l, events, 0) }

// NeverOverLate is NeverOver for units that were charged up to so many ticks before they were admitted, as those of leases are. A
// token bucket then promises B + r·(|I| + late); windows promise what they always do, since a lease ends with its window.
func NeverOverLate(l *stint.Limit, events []Event, late int64) error {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	capacity := big.NewRat(l.Capacity(), 1)
	twice := new(big.Rat).Add(capacity, capacity)
	p := l.Ticks()
	switch l.Strategy.(type) {
	case stint.TokenBucket:
		return everyPair(events, func(span int64) *big.Rat { return grown(capacity, rateOf(l), span+late) })
	case stint.Pacing:
		// The grants' instants are rounded up to a tick, so a span may look a tick too short.
		return everyPair(events, func(span int64) *big.Rat { return grown(capacity, rateOf(l), span+1) })
	case stint.IntervalBucket:
		return everyPair(events, func(span int64) *big.Rat { return grown(capacity, whole(l.Units), span/p+1) })
	case stint.FixedWindow, stint.CalendarWindow:
		return everyPair(inWindow(events, windowOf(l)), func(span int64) *big.Rat { return within(span, 1, capacity) })
	case stint.SlidingLog, stint.Concurrency:
		return everyPair(events, func(span int64) *big.Rat { return within(span, p, capacity) })
	case stint.SlidingCounter:
		return everyPair(events, func(span int64) *big.Rat { return within(span, p, twice) })
	}
	return nil
}

// grown is the promise of a bucket: its capacity and what a span adds.
func grown(capacity, rate *big.Rat, span int64) *big.Rat {
	g := new(big.Rat).Mul(rate, whole(span))
	return g.Add(g, capacity)
}

// within is the promise of a window: so much in a span shorter than its length, any number in a longer one.
func within(span, length int64, most *big.Rat) *big.Rat {
	if span < length {
		return most
	}
	return nil
}

// inWindow moves events to the start of their window.
func inWindow(events []Event, window func(now int64) (start, end int64)) []Event {
	for i := range events {
		events[i].At, _ = window(events[i].At)
	}
	return events
}

// everyPair holds what was admitted from any event to any later one to the promise for that span.
func everyPair(events []Event, most func(span int64) *big.Rat) error {
	for i := range events {
		total := new(big.Int)
		for j := i; j < len(events); j++ {
			total.Add(total, big.NewInt(events[j].Units))
			bound := most(events[j].At - events[i].At)
			if bound == nil {
				break
			}
			if new(big.Rat).SetInt(total).Cmp(bound) > 0 {
				return fmt.Errorf("law 1: %v units admitted from %d to %d, at most %s allowed", total, events[i].At, events[j].At,
					bound.FloatString(3))
			}
		}
	}
	return nil
}
