package stint

import (
	"math"
	"time"
)

// Decision is the answer to a call: allowed or not, and why. With several limits it speaks of the strictest one.
type Decision struct {
	Allowed bool
	Reason  Reason

	// Approximate says that the store decided from an upper bound of what the key has used: never too much is admitted, but a
	// lone caller may be refused early. See MemoryOptions.AtBound.
	Approximate bool

	Granted   int64 // units granted; less than asked for only by TakeUpTo
	Limit     int64 // the capacity of the limit that decided
	Remaining int64 // how many calls of one unit would now pass, one after the other: 0 … Limit

	// RetryAfter is 0 for a call that was admitted, and else the time after which the same call is admitted if nobody else
	// comes; or [Never], or [Unknown]. Rounded up to a tick.
	RetryAfter time.Duration

	// ResetAfter is the time until the key is as good as new, if nobody calls.
	ResetAfter time.Duration

	// By is the limit that decided; nil if no limit did.
	By *Limit

	key   string
	at    int64
	nonce uint64
}

// Reason says why a decision is as it is.
type Reason uint8

// The reasons.
const (
	Admitted   Reason = iota // the limit has room
	Limited                  // the limit has no room now
	TooMuch                  // the cost is more than the limit can ever admit at once: never
	Blocked                  // the key is blocked for a time
	Shadowed                 // the limit has no room, but is only tried out: let pass
	Degraded                 // decided without the store, as the limit's choice for that case says
	Queued                   // others wait for this key, and nobody may overtake them
	KeyMissing               // the call lacks the key that its limit counts by
	Skipped                  // no limit holds for the call
)

var reasons = [...]string{"admitted", "limited", "never", "blocked", "shadow", "degraded", "queued", "no key", "skipped"}

// String is the reason in a word or two.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "unknown"
}

// The waits that are not a time.
const (
	Never   time.Duration = math.MaxInt64     // the same call will never be admitted
	Unknown time.Duration = math.MaxInt64 - 1 // nobody knows when: the store is lost, or the queue is full
)

// RetrySeconds is RetryAfter in whole seconds, rounded up and at least 1, as headers and texts say it; false for an admitted
// call, Never and Unknown.
func (d *Decision) RetrySeconds() (int64, bool) {
	if d.Allowed || d.RetryAfter == Never || d.RetryAfter == Unknown {
		return 0, false
	}
	return max(1, Seconds(d.RetryAfter)), true
}

// Seconds is a wait in whole seconds, rounded up.
func Seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// Stricter says whether d leaves its caller less room than other: a refusal before an admission, the longer wait, the fewer
// units left.
func (d *Decision) Stricter(other *Decision) bool {
	switch {
	case d.Allowed != other.Allowed:
		return !d.Allowed
	case d.RetryAfter != other.RetryAfter:
		return d.RetryAfter > other.RetryAfter
	case d.Remaining != other.Remaining:
		return d.Remaining < other.Remaining
	}
	return d.ResetAfter > other.ResetAfter
}

// fill makes the decision out of a store's answer. The nonce is for the receipt of what was granted.
func (d *Decision) fill(l *Limit, key string, op Op, a Answer, m Mark, nonce uint64) {
	*d = Decision{
		Allowed:     true,
		Approximate: m.has(markApproximate),
		Granted:     a.Granted,
		Limit:       l.capacity,
		Remaining:   a.Remaining,
		ResetAfter:  duration(a.Reset),
		By:          l,
		key:         key,
		at:          m.At(),
	}
	refused := a.Granted < op.Min
	if op.Max == 0 {
		refused = a.Wait != 0
	}
	if m.has(markBlocked) {
		refused, d.Reason = true, Blocked
	} else if refused {
		d.Reason = Limited
	}
	if m.has(markDegraded) {
		d.Reason = Degraded
	}
	if !refused {
		if a.Granted > 0 && !m.has(markDegraded) { // the store, which was not asked, has nothing to take back
			d.nonce = nonce
		}
		return
	}
	d.Allowed = false
	d.RetryAfter = duration(a.Wait)
	if m.has(markUnknown) {
		d.RetryAfter = Unknown
	} else if a.Wait == Forever {
		d.RetryAfter = Never
		if d.Reason == Limited {
			d.Reason = TooMuch
		}
	}
}

// duration is so many ticks; what is too long for a Duration is the longest one that is neither Never nor Unknown.
func duration(ticks int64) time.Duration {
	const longest = (math.MaxInt64 - 2) / int64(Tick)
	return time.Duration(min(ticks, longest)) * Tick
}

// ticksUp is a duration in ticks, rounded up.
func ticksUp(d time.Duration) int64 {
	t := int64(d / Tick)
	if d%Tick > 0 {
		t++
	}
	return t
}
