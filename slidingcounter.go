package stint

import (
	"math"
	"math/bits"
)

// SlidingCounter keeps two counts, of this window and of the last one, and estimates the sliding window between them: the last
// window's count fades evenly while this one fills. Windows lie still in time, as those of [FixedWindow] do.
//
// Choose it for large limits where the memory of a [SlidingLog] is too much and the edges of a fixed window are too sharp. The
// estimate never passes Units. What that promises is at most 2·Units in any span of Per, not a few percent more: the bound is
// reached when all of the last window came at its end. One word of state (16 bytes a key) for up to 22,600 units a second,
// 175,000 a minute or 1.3 million an hour; three words above.
//
// A refund counts only in the window of its take; a credit comes out of this window first.
type SlidingCounter struct{}

// Name is "sliding-window-counter".
func (SlidingCounter) Name() string { return "sliding-window-counter" }

// Words is 1, or 3 where the two counts need more than a word.
func (SlidingCounter) Words(l *Limit) int {
	if l.wide {
		return 3
	}
	return 1
}

// maxCount is the most that a count of the wide form can hold.
const maxCount = int64(1) << 61

// Compile refuses a burst, a Per that is not a whole number of ticks or more than 8 years, and more than 2^61 units.
func (SlidingCounter) Compile(l *Limit) error {
	if err := l.compileSpan(); err != nil {
		return err
	}
	if l.Units > maxCount {
		return l.errorf("%d units: strategy sliding-window-counter counts at most %d", l.Units, maxCount)
	}
	// A word has room for ticks<<fractionBits different values. The counts may pass the limit's units by debt, so they get all of
	// it; a limit that needs more than half of their range is wide.
	l.radix = squareRoot(l.ticks << fractionBits)
	l.byRadix = newDivisor(l.radix)
	l.most = l.radix - 1
	if l.wide = l.Units > l.most/2; l.wide {
		l.most = maxCount
	}
	return nil
}

func (SlidingCounter) builtin() traits { return traits{wall: true} }

// Apply implements [Strategy].
func (SlidingCounter) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	now = min(now, MaxInstant)
	c := l.countsAt(s, now)
	faded := l.faded(c.last, c.start+l.ticks-now)
	used := c.current + faded
	asks := op.Max >= 0
	if op.refunds() {
		op.Max = -min(-op.Max, c.current)
		if op.Wait < c.start || op.Wait >= c.start+l.ticks {
			op.Max = 0
		}
	}
	after, granted := l.spend(used, op)
	if after == used && op.Kind() != Clear {
		a := l.countsAnswer(c, used, granted, now)
		if asks && granted == 0 {
			a.Wait = l.countsWait(c, used, op.Min, now)
		}
		return s, a
	}
	c.current += after - used
	if c.current < 0 {
		// A gift that is more than this window's count: the last one's gets smaller, by as much as the gift is worth there.
		c.last -= min(c.last, mulDiv(-c.current, l.ticks, min(c.start+l.ticks-now, l.ticks)))
		c.current = 0
	}
	if after == 0 {
		return State{}, Answer{Granted: granted, Remaining: l.capacity}
	}
	after = c.current + l.faded(c.last, c.start+l.ticks-now)
	return l.countsState(c), l.countsAnswer(c, after, granted, now)
}

// counts are the two counts of a key in a window.
type counts struct{ start, last, current int64 }

// countsAt moves the counts to now's window, never back. A State.A is the instant at which this window's count has faded, the
// end of the next window, and in one word the two counts are added to it in its smallest parts, as digits of a number.
func (l *Limit) countsAt(s State, now int64) counts {
	c := counts{start: l.byTicks.of(now) * l.ticks}
	window := l.ticks << fractionBits
	ahead := s.A - (c.start+2*l.ticks)<<fractionBits
	if ahead < -window || s.A <= now<<fractionBits {
		return c
	}
	earlier := ahead < 0
	if earlier {
		ahead += window
	} else if ahead >= window { // the clock stepped back
		c.start = l.byTicks.of(s.A>>fractionBits)*l.ticks - 2*l.ticks
		ahead = s.A - (c.start+2*l.ticks)<<fractionBits
	}
	if l.wide {
		c.current, c.last = s.B, s.C
	} else {
		c.current = l.byRadix.of(ahead)
		c.last = ahead - c.current*l.radix
	}
	if earlier {
		c.last, c.current = c.current, 0
	}
	return c
}

// countsState is the state of a key with these counts.
func (l *Limit) countsState(c counts) State {
	a := (c.start + 2*l.ticks) << fractionBits
	if l.wide {
		return State{A: a, B: c.current, C: c.last}
	}
	return State{A: a + c.current*l.radix + c.last}
}

// faded is what the last window's count amounts to with so much of this one left, rounded down.
func (l *Limit) faded(last, left int64) int64 {
	if left >= l.ticks {
		return last // the clock stepped back before the window
	}
	hi, lo := bits.Mul64(uint64(last), uint64(left))
	if hi == 0 && lo <= math.MaxInt64 {
		return l.byTicks.of(int64(lo))
	}
	quotient, _ := bits.Div64(hi, lo, uint64(l.ticks))
	return int64(quotient)
}

// fades is how long after the start of a window what the last one's count amounts to is no more than room.
func (l *Limit) fades(last, room int64) int64 {
	switch {
	case last <= room:
		return 0
	case room == 0:
		return l.ticks - (l.ticks-1)/last // the same as below, with one division
	}
	return mulDiv(l.ticks, last-room-1, last) + 1
}

func (l *Limit) countsAnswer(c counts, used, granted, now int64) Answer {
	a := Answer{Granted: granted, Remaining: max(0, l.capacity-used)}
	switch {
	case c.current > 0:
		a.Reset = c.start + l.ticks + l.fades(c.current, 0) - now
	case used > 0:
		a.Reset = c.start + l.fades(c.last, 0) - now
	}
	return a
}

// countsWait is how long n units wait: in this window until enough of the last one's count has faded, else in the next.
func (l *Limit) countsWait(c counts, used, n, now int64) int64 {
	switch lack, ever := l.lacks(used, n); {
	case !ever:
		return Forever
	case lack == 0:
		return 0
	}
	if room := l.capacity - n - c.current; room >= 0 {
		return c.start + l.fades(c.last, room) - now
	}
	return c.start + l.ticks + l.fades(c.current, l.capacity-n) - now
}

// squareRoot is the square root of x > 0, rounded down.
func squareRoot(x int64) int64 {
	root := int64(1) << ((bits.Len64(uint64(x)) + 1) / 2)
	for {
		// Newton's method from above.
		next := (root + x/root) / 2
		if next >= root {
			return root
		}
		root = next
	}
}
