package stint

import "math/bits"

// The wide form of the token bucket counts the same parts as the one-word form, in 128 bits: a unit is q parts and a tick brings
// p. State.B is the instant of full in ticks, as a uint64, C the parts of a tick that it is later, and A the tick after it,
// which is the last one that a State.A can show where it would be beyond that. Nothing is ever rounded.

// maxWideFill is the longest time to full, in ticks, of the wide form, debts and bookings included. With the last instant it
// still fits in a uint64.
const maxWideFill = 1<<63 + 1<<62

// applyWide is TokenBucket.Apply for the wide form.
func applyWide(s State, l *Limit, now int64, op Op) (State, Answer) {
	now = min(now, MaxInstant)
	missing, full := l.owed(s, now), multiplied(l.capacity, l.q)
	switch {
	case op.Max > 0:
		return l.wideTake(s, now, missing, full, op)
	case op.Max == 0:
		a := l.wideAnswer(0, missing, full)
		a.Wait = l.wideWait(missing, full, op.Min)
		return s, a
	default:
		back := l.owedBack(missing, now, op)
		if op.Kind() == Refund && full.less(missing) {
			back = uint128{} // units are booked ahead, as in the one-word form
		}
		if back.isZero() && op.Kind() != Clear {
			return s, l.wideAnswer(0, missing, full)
		}
		missing = missing.minus(back)
		next, reset := l.owing(now, missing)
		return next, Answer{Granted: back.over(l.q), Remaining: full.minus(missing).over(l.q), Reset: reset}
	}
}

func (l *Limit) wideTake(s State, now int64, missing, full uint128, op Op) (State, Answer) {
	grant := op.Max
	if op.Wait == Forever {
		missing = l.owedMore(missing, grant)
	} else {
		most := full
		if op.Wait > 0 {
			most = most.plus(multiplied(min(op.Wait, maxFill), l.p))
		}
		if grant > l.capacity || most.less(missing.plus(multiplied(grant, l.q))) {
			grant = 0
			if op.Min < op.Max {
				grant = min(l.capacity, most.minus(missing).over(l.q))
			}
			if grant < op.Min || grant == 0 {
				a := l.wideAnswer(0, missing, full)
				a.Wait = l.wideWait(missing, most, op.Min)
				return s, a
			}
		}
		missing = missing.plus(multiplied(grant, l.q))
	}
	next, reset := l.owing(now, missing)
	a := Answer{Granted: grant, Reset: reset}
	if full.less(missing) {
		a.Wait = l.lasts(missing.minus(full))
	} else {
		a.Remaining = full.minus(missing).over(l.q)
	}
	return next, a
}

func (l *Limit) wideAnswer(granted int64, missing, full uint128) Answer {
	return Answer{Granted: granted, Remaining: full.minus(missing).over(l.q), Reset: l.lasts(missing)}
}

// wideWait is how long n units wait until no more than most would be missing with them.
func (l *Limit) wideWait(missing, most uint128, n int64) int64 {
	if n > l.capacity {
		return Forever
	}
	return l.lasts(missing.plus(multiplied(n, l.q)).minus(most))
}

// owed is what a bucket lacks at now, in parts, in either form.
func (l *Limit) owed(s State, now int64) uint128 {
	if !l.wide {
		return uint128{lo: uint64(l.missing(s, now))}
	}
	if s.A <= now<<fractionBits || uint64(s.B) < uint64(now) {
		return uint128{}
	}
	ahead := min(uint64(s.B)-uint64(now), maxWideFill)
	hi, lo := bits.Mul64(ahead, uint64(l.p))
	return uint128{hi, lo}.plus(uint128{lo: uint64(min(max(s.C, 0), l.p))})
}

// owing is the state of a bucket that lacks so many parts at now, and how long it takes to fill, as lasts says it.
func (l *Limit) owing(now int64, missing uint128) (State, int64) {
	if missing.isZero() {
		return State{}, 0
	}
	if !l.wide {
		return l.filledAt(now, int64(missing.lo)), l.byP.up(int64(missing.lo), l.p)
	}
	ticks, rest := bits.Div64(missing.hi, missing.lo, uint64(l.p))
	s := State{A: Forever, B: int64(uint64(now) + ticks), C: int64(rest)}
	if rest > 0 {
		ticks++
	}
	if full := uint64(now) + ticks; full < 1<<(63-fractionBits) {
		s.A = int64(full << fractionBits)
	}
	return s, int64(min(ticks, uint64(Forever-1)))
}

// owedMore is so many parts and n units more, at most what the form can hold.
func (l *Limit) owedMore(missing uint128, n int64) uint128 {
	more, most := missing.plus(multiplied(n, l.q)), l.mostOwed()
	if most.less(more) {
		return most
	}
	return more
}

// mostOwed is the most that a bucket can lack.
func (l *Limit) mostOwed() uint128 {
	longest := uint64(maxWideFill)
	if !l.wide {
		longest = uint64(maxFill)
	}
	hi, lo := bits.Mul64(longest, uint64(l.p))
	return uint128{hi, lo}
}

// owedBack is what giving back comes to, in parts. Refill may have healed a part of what was taken: of a refund only the rest
// is worth anything, or law 1 would break.
func (l *Limit) owedBack(missing uint128, now int64, op Op) uint128 {
	back := multiplied(-op.Max, l.q)
	switch op.Kind() {
	case Clear:
		return missing
	case Undo:
		if now+l.lasts(missing) != op.Min {
			return uint128{} // somebody has booked since
		}
	case Refund:
		back = back.minus(multiplied(max(0, now-max(op.Wait, 0)), l.p))
	}
	if missing.less(back) {
		return missing
	}
	return back
}

// lasts is how many ticks it takes to refill so many parts, rounded up, and less than Forever.
func (l *Limit) lasts(missing uint128) int64 {
	if !l.wide {
		return l.byP.up(int64(missing.lo), l.p)
	}
	ticks := missing.plus(uint128{lo: uint64(l.p - 1)}).over(l.p)
	return min(ticks, Forever-1)
}

// uint128 is a whole number below 2^128. Sums and products here stay far below it.
type uint128 struct{ hi, lo uint64 }

// multiplied is a·b, for a, b ≥ 0.
func multiplied(a, b int64) uint128 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return uint128{hi, lo}
}

func (a uint128) isZero() bool { return a.hi|a.lo == 0 }

func (a uint128) less(b uint128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a uint128) plus(b uint128) uint128 {
	lo, carried := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carried)
	return uint128{hi, lo}
}

// minus is a−b, or 0 where b is more.
func (a uint128) minus(b uint128) uint128 {
	if a.less(b) {
		return uint128{}
	}
	lo, borrowed := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrowed)
	return uint128{hi, lo}
}

// over is a/b rounded down, for b > 0; what is more than an int64 holds is Forever.
func (a uint128) over(b int64) int64 {
	if a.hi >= uint64(b) {
		return Forever
	}
	quotient, _ := bits.Div64(a.hi, a.lo, uint64(b))
	return int64(min(quotient, uint64(Forever)))
}
