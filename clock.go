package stint

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// clock tells the time of a memory store: the wall clock, read once, and monotonic time since then.
//
// To read the machine's clock costs as much as all the rest of a decision, and on a key that is not in the cache more than that,
// since it waits for every load under way. So each reading is an anchor, from which the processor's counter leads on for a
// millisecond at most. The counter's rate is measured against the machine's clock and checked for as long as the process lives:
// where it is off by more than a thousandth, the counter is not used until it has been measured for longer. So between anchors
// the time is off by less than a tick; a counter that breaks its promise costs a millisecond at most, once.
//
// Two goroutines that read it at the same moment may be told neighbouring ticks, in either order.
type clock struct {
	base  time.Time
	start int64 // the instant of base

	anchor atomic.Pointer[anchor]

	mu       sync.Mutex // guards the measuring
	steady   bool       // the counter may be used at all
	first    reading    // where the measuring of the rate began
	measured uint64     // ticks a count, in 1/2^64; 0 is not known
	enough   int64      // nanoseconds of measuring that are needed
	last     int64      // nanoseconds since base of the last reading
}

// anchor is an instant with its count, and how far the counter may be followed from there. It never changes.
type anchor struct {
	count   uint64
	instant int64
	rate    uint64 // ticks a count, in 1/2^64
	span    uint64
}

// reading is the counter and the machine's clock at one moment.
type reading struct {
	count uint64
	nanos int64 // since base
}

const (
	clockSlack   = 2                    // ticks by which two goroutines may be told the time differently
	busyNanos    = 2_000_000            // readings further apart are not worth an anchor
	anchorTicks  = 1000                 // an anchor is good for so long
	enoughNanos  = 10_000_000           // the first measuring of the rate
	mostEnough   = int64(time.Hour)     // … and the longest
	longNanos    = int64(time.Second)   // a measuring that is as good as it gets
	widestGap    = uint64(8_192)        // counts between which a reading of the clock lies, or it is not used
	slowestRate  = ^uint64(0) / 10      // ticks a count: a counter of 10 MHz
	fastestRate  = ^uint64(0) / 100_000 // … and of 100 GHz
	firstYear    = 2020                 // no clock of a machine that is right shows an earlier one
	rateMismatch = 1024                 // one part in so many
	nanosPerTick = int64(Tick)
)

// begin begins at the machine's time. The bubbles of testing/synctest begin in the year 2000: their time is not the
// processor's, so no counter is used there.
func (c *clock) begin() {
	c.base, c.enough = time.Now(), enoughNanos
	c.start = c.base.UnixMicro()
	c.steady = c.base.Year() >= firstYear && steadyCounter()
	c.anchor.Store(&anchor{})
}

// now is the instant, if there is an anchor to count from; else read has it.
func (c *clock) now() (int64, bool) { return c.at(readCounter()) }

// at is the instant of a reading of the counter.
func (c *clock) at(count uint64) (int64, bool) {
	a := c.anchor.Load()
	since := count - a.count
	ticks, _ := bits.Mul64(since, a.rate)
	return a.instant + int64(ticks), since < a.span
}

// read is the instant by the machine's clock, which becomes the next anchor.
func (c *clock) read() int64 {
	before := readCounter()
	nanos := int64(time.Since(c.base))
	after := readCounter()
	if c.steady && c.mu.TryLock() {
		c.learn(before, nanos, after)
		c.mu.Unlock()
	}
	return c.start + nanos/nanosPerTick
}

// learn makes an anchor of a reading of the clock between two of the counter. c.mu is held.
func (c *clock) learn(before uint64, nanos int64, after uint64) {
	if after-before > widestGap {
		return // something came between
	}
	r := reading{before + (after-before)/2, nanos}
	if c.first == (reading{}) {
		c.first = r
	}
	if !c.measure(r) || c.measured == 0 {
		return
	}
	if was := c.last; nanos-was > busyNanos {
		c.last = nanos
		return
	}
	c.last = nanos
	perTick := ^uint64(0) / c.measured
	c.anchor.Store(&anchor{
		count:   r.count - uint64(nanos%nanosPerTick)*perTick/uint64(nanosPerTick),
		instant: c.start + nanos/nanosPerTick,
		rate:    c.measured,
		span:    perTick * anchorTicks,
	})
}

// measure brings the rate up to date, and says whether the reading fits it.
func (c *clock) measure(r reading) bool {
	nanos, counts := r.nanos-c.first.nanos, r.count-c.first.count
	if nanos < c.enough {
		return true
	}
	rate := uint64(0)
	if over, scaled := bits.Mul64(counts, uint64(nanosPerTick)); over == 0 && uint64(nanos) < scaled {
		rate, _ = bits.Div64(uint64(nanos), 0, scaled)
	}
	fits := rate >= fastestRate && rate <= slowestRate
	if fits && c.measured != 0 {
		fits = max(rate, c.measured)-min(rate, c.measured) <= c.measured/rateMismatch
	}
	switch {
	case !fits:
		c.first, c.measured = r, 0
		c.enough = min(8*c.enough, mostEnough)
		return false
	case nanos >= longNanos:
		c.first = r
	}
	c.measured = rate
	return true
}
