package stint

import (
	"math"
	"math/bits"
	"time"
)

// TokenBucket holds Burst units and is refilled evenly, Units per Per; a call takes what it costs out of it. It is the
// generic cell rate algorithm (ITU-T I.371), kept as the instant at which the bucket is full again.
//
// Choose it to allow bursts on top of a steady rate. In any span I a key is granted at most Burst + Units·I/Per: a token
// bucket of 100/hour grants 100 at once and up to 200 in the worst hour. Exact for every rate. One word of state (16 bytes a
// key) where the rate in units per microsecond, as a reduced fraction, has a numerator of at most 2048 (7/s, 100/hour, every
// N/s up to 2048 and most above); three words for all others.
type TokenBucket struct{}

const (
	fractionBits = 11             // a State.A is ticks<<11 and a fraction of a tick
	maxP         = 1 << 11        // p above it needs the wide form
	maxFull      = 1 << 60        // capacity in parts
	maxFill      = int64(1) << 50 // time to full, and the longest booking ahead, in ticks
	maxDebt      = int64(1) << 61 // missing parts
)

// Name is "token-bucket".
func (TokenBucket) Name() string { return "token-bucket" }

// Words is 1, or 3 for a rate outside the range of one word.
func (TokenBucket) Words(l *Limit) int {
	if l.wide {
		return 3
	}
	return 1
}

// Compile works out the rate. It refuses a bucket that would take more than 2^63 ticks to fill.
func (TokenBucket) Compile(l *Limit) error { return l.compileRate() }

func (TokenBucket) builtin() traits { return traits{ordered: true} }

// Apply implements [Strategy].
func (TokenBucket) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	if l.wide {
		return applyWide(s, l, now, op)
	}
	missing := l.missing(s, now)
	switch {
	case op.Max > 0 && op.Wait == 0 && op.Max <= l.capacity && missing+op.Max*l.q <= l.full:
		// What nearly every call does, without a call.
		missing += op.Max * l.q
		ticks := l.byP.of(missing)
		fraction := missing - ticks*l.p
		a := Answer{Granted: op.Max, Remaining: l.byQ.of(l.full - missing), Reset: ticks}
		if fraction > 0 {
			a.Reset++
		}
		return State{A: (now+ticks)<<fractionBits | fraction}, a
	case op.Max > 0:
		return l.bucketTake(s, now, missing, op)
	case op.Max == 0:
		a := l.bucketAnswer(0, missing)
		a.Wait = l.bucketWait(l.full-missing, op.Min)
		return s, a
	default:
		return l.bucketGiveBack(s, now, missing, op)
	}
}

// takeBucket is Apply for what nearly every call does, where the bucket is in one word: take n units now or none, for yes and no. It
// takes so few steps, and is not called through an interface, that the processor can begin the next call while this one waits
// for its key: a call on a key that is not in the cache then takes a third less.
func (l *Limit) takeBucket(a, now, n int64) (next int64, granted bool) {
	if n > l.capacity {
		return a, false
	}
	missing := l.missing(State{A: a}, now) + n*l.q
	if missing > l.full {
		return a, false
	}
	return l.filledAt(now, missing).A, true
}

// missing is what the bucket lacks at now, in parts of which a unit is q.
func (l *Limit) missing(s State, now int64) int64 {
	ahead := s.A>>fractionBits - now
	if ahead < 0 {
		return 0
	}
	// A word that another limit wrote may hold any fraction; one that an earlier clock meets may be far ahead.
	return min(ahead, maxFill)*l.p + min(s.A&(maxP-1), l.p)
}

// filledAt is the state that lacks so many parts at now.
func (l *Limit) filledAt(now, missing int64) State {
	ticks := l.byP.of(missing)
	return State{A: (now+ticks)<<fractionBits | (missing - ticks*l.p)}
}

func (l *Limit) bucketTake(s State, now, missing int64, op Op) (State, Answer) {
	if op.Wait == Forever {
		missing = min(min(missing, maxDebt)+l.parts(op.Max), maxFill*l.p)
		a := l.bucketAnswer(op.Max, missing)
		a.Wait = l.byP.up(max(0, missing-l.full), l.p)
		return l.filledAt(now, missing), a
	}
	room := l.full - missing
	if op.Wait > 0 {
		room += min(op.Wait, maxFill) * l.p
	}
	grant := op.Max
	if grant > l.capacity || grant*l.q > room {
		grant = 0
		if op.Min < op.Max && room > 0 {
			grant = min(l.byQ.of(room), l.capacity)
		}
		if grant < op.Min || grant == 0 {
			a := l.bucketAnswer(0, missing)
			a.Wait = l.bucketWait(room, op.Min)
			return s, a
		}
	}
	missing += grant * l.q
	a := l.bucketAnswer(grant, missing)
	if missing > l.full {
		a.Wait = l.byP.up(missing-l.full, l.p)
	}
	return l.filledAt(now, missing), a
}

func (l *Limit) bucketGiveBack(s State, now, missing int64, op Op) (State, Answer) {
	back := l.parts(-op.Max)
	if op.Min > 0 && now+l.byP.up(missing, l.p) != op.Min {
		back = 0 // somebody has booked since
	}
	if op.Kind() == Refund && missing > l.full {
		back = 0 // units are booked ahead: what came back now would be granted again at an instant that is another's
	}
	if op.Wait > 0 {
		// Refill may have healed a part of what was taken: only the rest is worth anything, or law 1 would break.
		back = max(0, back-min(max(0, now-op.Wait), maxFill)*l.p)
	}
	back = min(back, missing)
	if back == 0 && op.Kind() != Clear {
		return s, l.bucketAnswer(0, missing)
	}
	missing -= back
	a := l.bucketAnswer(l.byQ.of(back), missing)
	if missing == 0 {
		return State{}, a
	}
	return l.filledAt(now, missing), a
}

func (l *Limit) bucketAnswer(granted, missing int64) Answer {
	a := Answer{Granted: granted, Reset: l.byP.up(missing, l.p)}
	if room := l.full - missing; room > 0 {
		a.Remaining = l.byQ.of(room)
	}
	return a
}

// bucketWait is how long n units wait for so much room.
func (l *Limit) bucketWait(room, n int64) int64 {
	if n > l.capacity {
		return Forever
	}
	return l.byP.up(max(0, n*l.q-room), l.p)
}

// parts is n units in parts, capped at the largest debt.
func (l *Limit) parts(n int64) int64 {
	if hi, lo := bits.Mul64(uint64(n), uint64(l.q)); hi == 0 && lo <= uint64(maxDebt) {
		return int64(lo)
	}
	return maxDebt
}

// compileRate works out p, q and full, and whether one word can hold them.
func (l *Limit) compileRate() error {
	// Units per nanoseconds, times 1000 nanoseconds a tick, reduced before it is multiplied out.
	per, scale := int64(l.Per), int64(Tick/time.Nanosecond)
	if l.Units == 0 {
		// Nothing is ever granted; the rate only has to be some number.
		l.p, l.q, l.full, l.capacity = 1, 1, 0, 0
		l.byP, l.byQ = newDivisor(1), newDivisor(1)
		return nil
	}
	g := gcd(per, scale)
	per, scale = per/g, scale/g
	g = gcd(l.Units, per)
	units := l.Units / g
	per /= g
	hi, p := bits.Mul64(uint64(units), uint64(scale))
	if hi != 0 || p > math.MaxInt64 {
		return l.errorf("%d units per %v: more than 2^63 a microsecond; take a lower rate", l.Units, l.Per)
	}
	l.p, l.q = int64(p), per
	hi, full := bits.Mul64(uint64(l.capacity), uint64(l.q))
	if hi >= p {
		return l.errorf("capacity %d at %d per %v: more than 2^64 microseconds to fill; take a smaller burst", l.capacity, l.Units, l.Per)
	}
	fill, _ := bits.Div64(hi, full, p)
	if fill > math.MaxInt64 {
		return l.errorf("capacity %d at %d per %v: more than 2^63 microseconds to fill; take a smaller burst", l.capacity, l.Units, l.Per)
	}
	l.wide = l.p > maxP || hi != 0 || full > maxFull || fill > uint64(maxFill)
	l.ordered = l.ordered && !l.wide // one word says it all, or three do
	if !l.wide {
		l.full = int64(full)
		l.byP, l.byQ = newDivisor(l.p), newDivisor(l.q)
	}
	return nil
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
