package stint

import "math/bits"

// IntervalBucket holds Burst units and gets back Units at a time, at the end of each Per, counted from the call that found it
// full.
//
// Choose it for what most home-made limiters mean by "100 an hour": the first call starts the hour, and after it everything is
// there again. With Burst = Units, the default, at most Units are granted in each period and 2·Units in any span of Per; else at
// most Burst + Units·⌈I/Per⌉ in any span I. Three words of state (32 bytes a key), exact.
//
// A refund gives back what no refill since the take can have given back already.
type IntervalBucket struct{}

// Name is "interval-bucket".
func (IntervalBucket) Name() string { return "interval-bucket" }

// Words is 3: the instant of full, the start of the period, the units used.
func (IntervalBucket) Words(*Limit) int { return 3 }

// Compile refuses a Per that is not a whole number of ticks, and a bucket that takes more than 8 years to fill.
func (IntervalBucket) Compile(l *Limit) error {
	if err := l.compileTicks(); err != nil {
		return err
	}
	if l.Units == 0 {
		l.capacity = 0
	}
	l.byUnits = newDivisor(max(1, l.Units))
	hi, most := bits.Mul64(uint64(maxSpan/l.ticks), uint64(l.Units))
	if hi != 0 || most > uint64(Forever) {
		most = uint64(Forever)
	}
	l.most = int64(most)
	if l.capacity > l.most {
		return l.errorf("capacity %d at %d per %v: takes more than 8 years to fill; take a smaller burst", l.capacity, l.Units, l.Per)
	}
	return nil
}

func (IntervalBucket) builtin() traits { return traits{} }

// Apply implements [Strategy].
func (IntervalBucket) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	now = min(now, MaxInstant)
	start, used := l.interval(s, now)
	asks := op.Max >= 0
	if op.refunds() {
		op.Max = -l.intervalWorth(-op.Max, op.Wait, start)
	}
	after, granted := l.spend(used, op)
	a := Answer{Granted: granted, Remaining: max(0, l.capacity-after)}
	if after > 0 {
		a.Reset = l.refilled(start, after) - now
	}
	switch {
	case after == used && op.Kind() != Clear:
		if lack, ever := l.lacks(used, op.Min); !asks || granted > 0 {
			// Nothing waits.
		} else if !ever {
			a.Wait = Forever
		} else if lack > 0 {
			a.Wait = l.refilled(start, lack) - now
		}
		return s, a
	case after == 0:
		return State{}, a
	}
	return State{A: (now + a.Reset) << fractionBits, B: start, C: after}, a
}

// interval is the start of the key's period and what is used in it.
func (l *Limit) interval(s State, now int64) (start, used int64) {
	start, used = s.B, s.C
	if s.A <= now<<fractionBits || used <= 0 {
		return now, 0
	}
	if now-start >= l.ticks {
		periods := l.byTicks.of(now - start)
		start += periods * l.ticks
		used -= periods * l.Units
		if used <= 0 {
			return now, 0
		}
	}
	return start, min(used, l.most)
}

// refilled is the instant by which so many units, at least one, have come in.
func (l *Limit) refilled(start, units int64) int64 {
	return start + (l.byUnits.of(units-1)+1)*l.ticks
}

// intervalWorth is what n units are worth that were taken at the instant at: every refill since may have given some back.
func (l *Limit) intervalWorth(n, at, start int64) int64 {
	if at >= start {
		return n
	}
	refills := l.byTicks.of(start-max(at, 0)-1) + 1
	return max(0, n-mulDiv(refills, l.Units, 1))
}
