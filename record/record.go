package record

import (
	"math"
	"time"

	"github.com/stint-go/stint"
)

// Record is what a shared store keeps for one key of one limit. The zero Record is a new key's. Instants are in ticks since the
// Unix epoch.
//
// A Record is not safe for concurrent use.
type Record struct {
	Variant uint64      // of the limit's values that State was written under
	State   stint.State // with those cells only that count
	Blocked int64       // the end of the key's block; 0 if it has none
	Reset   int64       // the last reset: receipts up to it are void; 0 if there was none that matters
}

// Until is the instant until which the record must be kept under the limit: from then on it says no more than a new key's.
func (r *Record) Until(l *stint.Limit) int64 {
	until := r.Blocked
	if r.State.A > 0 {
		until = max(until, forgettable(r.State.A))
	}
	if r.Reset > 0 {
		until = max(until, r.Reset+l.Horizon())
	}
	return until
}

// forgettable is the first instant at which a state with this A may be forgotten.
func forgettable(a int64) int64 {
	at := a >> fractionBits
	if a&(1<<fractionBits-1) != 0 {
		at++
	}
	return at
}

// fractionBits are the bits of a State.A below a whole tick.
const fractionBits = 11

// Block blocks the key from now until then; a time that is not in the future lifts the block. It says whether the record changed.
func (r *Record) Block(now, until int64) bool {
	if until <= now {
		until = 0
	}
	changed := r.Blocked != until
	r.Blocked = until
	return changed
}

// Void is the instant until which a receipt for a take at the given instant must be remembered once it is used: it is worth nothing
// from then on.
func Void(l *stint.Limit, taken int64) int64 {
	return min(taken, math.MaxInt64-l.Horizon()) + l.Horizon()
}

// Worth says whether a receipt for a take at the given instant can be worth anything now.
func (r *Record) Worth(l *stint.Limit, taken, now int64) bool {
	return taken <= now && taken > r.Reset && Void(l, taken) > now
}

// Ticks is a duration in ticks, rounded up.
func Ticks(d time.Duration) int64 {
	t := int64(d / stint.Tick)
	if d%stint.Tick > 0 {
		t++
	}
	return t
}
