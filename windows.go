package stint

import (
	"math/bits"
	"time"
)

// maxSpan is the longest period, in ticks, of a strategy that counts in periods: three of them after the last instant still fit
// in a State.A.
const maxSpan = int64(1) << 48

// compileSpan is what all strategies check whose period is a whole number of ticks and whose capacity is their units.
func (l *Limit) compileSpan() error {
	if err := l.noBurst(); err != nil {
		return err
	}
	return l.compileTicks()
}

// compileTicks is what all strategies check whose period is a whole number of ticks.
func (l *Limit) compileTicks() error {
	if err := l.wholeTicks(); err != nil {
		return err
	}
	if l.ticks > maxSpan {
		return l.errorf("period %v: strategy %s counts in periods of at most %v", l.Per, l.Strategy.Name(), time.Duration(maxSpan)*Tick)
	}
	l.byTicks = newDivisor(l.ticks)
	return nil
}

// refunds is Kind() == Refund.
func (o Op) refunds() bool { return o.Max < 0 && o.Min == 0 && o.Wait != 0 }

// spend is what an operation makes of the units that a key has used, at most l.most, and the units that it grants or gives
// back. What a refund is worth is for the strategy to say.
func (l *Limit) spend(used int64, op Op) (after, granted int64) {
	switch {
	case op.Max > 0 && op.Wait == Forever:
		if l.capacity == 0 {
			return used, 0
		}
		return used + max(0, min(op.Max, l.most-used)), op.Max
	case op.Max > 0:
		grant := min(op.Max, l.capacity-used)
		if grant < op.Min || grant <= 0 {
			return used, 0
		}
		return used + grant, grant
	case op.Kind() == Undo: // nothing was booked
		return used, 0
	default:
		back := min(-op.Max, used)
		return used - back, back
	}
}

// lacks is how many units too many are used for n more: 0 if there is room, and false if there never is.
func (l *Limit) lacks(used, n int64) (int64, bool) {
	if n > l.capacity {
		return 0, false
	}
	return max(0, used-(l.capacity-n)), true
}

// mulDiv is a·b/c rounded down, for a, b ≥ 0 and a result below 2^63.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return Forever
	}
	quotient, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(quotient, uint64(Forever)))
}
