package stint

import (
	"math"
	"math/bits"
	"time"
)

// Bounded is a strategy that knows how much a key is granted at most. All built-in ones are; one of your own may be.
type Bounded interface {
	Strategy

	// MostIn is the most units that one key of a compiled limit is granted in any half-open span that long, wherever it begins.
	// math.MaxInt64 says that there is no bound.
	MostIn(l *Limit, span time.Duration) int64
}

// AtOnce is the most units that one key is granted at a single instant: the limit's capacity. 0 for a limit that
// [Limit.Compile] refuses.
func (l *Limit) AtOnce() int64 {
	c := l.readied()
	if c == nil {
		return 0
	}
	return c.capacity
}

// MostIn is the most units that one key is granted in any span of time that long, wherever it begins: what the limit promises,
// as a number. A token bucket of 100/hour grants 100 at once and 200 in the worst hour; a sliding window of 100/hour grants 100
// in any hour. math.MaxInt64 says that there is no such bound, as for slots, which come back, and for a strategy that does not
// know its own. 0 for a limit that [Limit.Compile] refuses, and for no time at all.
func (l *Limit) MostIn(span time.Duration) int64 {
	c := l.readied()
	if c == nil || c.capacity == 0 || span <= 0 {
		return 0
	}
	if b, ok := c.Strategy.(Bounded); ok {
		return b.MostIn(c, span)
	}
	return math.MaxInt64
}

// readied is the limit compiled; nil if it is refused.
func (l *Limit) readied() *Limit {
	if l.ready {
		return l
	}
	c, err := l.Compile()
	if err != nil {
		return nil
	}
	return c
}

// MostIn is Burst + Units·span/Per.
func (TokenBucket) MostIn(l *Limit, span time.Duration) int64 { return l.burstAndRate(span) }

// MostIn is Burst + Units·span/Per, of the instants of grants.
func (Pacing) MostIn(l *Limit, span time.Duration) int64 { return l.burstAndRate(span) }

// MostIn is Burst + Units·⌈span/Per⌉: the whole bucket, and a refill at the end of each period that the span can touch.
func (IntervalBucket) MostIn(l *Limit, span time.Duration) int64 {
	return saturated(l.capacity, l.Units, periods(span, l.Per))
}

// MostIn is Units·⌈span/Per⌉.
func (SlidingLog) MostIn(l *Limit, span time.Duration) int64 {
	return saturated(0, l.Units, periods(span, l.Per))
}

// MostIn is Units·(⌈span/Per⌉+1): the windows that the span can touch.
func (FixedWindow) MostIn(l *Limit, span time.Duration) int64 {
	return saturated(l.Units, l.Units, periods(span, l.Per))
}

// MostIn is Units·(⌈span/Per⌉+1): no window grants more than Units, and the span can touch that many.
func (SlidingCounter) MostIn(l *Limit, span time.Duration) int64 {
	return saturated(l.Units, l.Units, periods(span, l.Per))
}

// MostIn is Units for each window that the span can touch. Where clocks are changed a window may be two hours short.
func (c CalendarWindow) MostIn(l *Limit, span time.Duration) int64 {
	shortest := c.Every.least()
	if c.Zone != nil && c.Zone != time.UTC {
		shortest -= 2 * time.Hour
	}
	return saturated(l.Units, l.Units, periods(span, shortest))
}

// MostIn has no bound: a slot that is given back is lent again at once.
func (Concurrency) MostIn(*Limit, time.Duration) int64 { return math.MaxInt64 }

// MostIn has no bound.
func (unlimited) MostIn(*Limit, time.Duration) int64 { return math.MaxInt64 }

func (l *Limit) burstAndRate(span time.Duration) int64 {
	hi, lo := bits.Mul64(uint64(l.Units), uint64(span))
	if hi >= uint64(l.Per) {
		return math.MaxInt64
	}
	refilled, _ := bits.Div64(hi, lo, uint64(l.Per))
	if refilled > uint64(math.MaxInt64-l.capacity) {
		return math.MaxInt64
	}
	return l.capacity + int64(refilled)
}

// periods is span/per, rounded up.
func periods(span, per time.Duration) int64 {
	n := int64(span / per)
	if span%per > 0 {
		n++
	}
	return n
}

// saturated is a + b·n, or the largest number.
func saturated(a, b, n int64) int64 {
	hi, lo := bits.Mul64(uint64(b), uint64(n))
	if hi != 0 || lo > uint64(math.MaxInt64-a) {
		return math.MaxInt64
	}
	return a + int64(lo)
}
