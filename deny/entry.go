package deny

import (
	"math"

	"github.com/stint-go/stint"
)

// entry is what is remembered of a key of a limit. It never changes.
type entry struct {
	limit  *stint.Limit
	hash   uint64
	age    age   // of the key, when the store was asked
	at     int64 // when its answer was received, in nanoseconds of the wrapper's clock
	until  int64
	least  int64 // this cost and all above are refused; nothing if the entry is of a key that passed in a refused call
	passes int64 // this cost and all below pass
	answer stint.Answer
	mark   stint.Mark
}

// nothing is the least cost that is refused where none is.
const nothing = math.MaxInt64

// refuses says whether the entry refuses the take while it is live.
func (e *entry) refuses(op stint.Op) bool { return op.Min >= e.least && e.least < nothing }

// live says whether the entry holds at the instant.
func (e *entry) live(now int64) bool { return now >= e.at && now < e.until }

// aged is the answer and mark at the instant, as far as both are the same for all costs.
func (e *entry) aged(now int64) (stint.Answer, stint.Mark) {
	passed := (now - e.at) / int64(stint.Tick) // rounded down: waits are rounded up
	a, m := e.answer, e.mark+stint.NewMark(passed)
	a.Granted = 0
	if a.Wait > 0 && a.Wait < stint.Forever {
		a.Wait -= passed
	}
	if a.Reset < stint.Forever {
		a.Reset = max(a.Reset-passed, 0)
	}
	if passed > 0 && e.least > 1 {
		m = m.Approximate() // by now more may remain
	}
	return a, m
}

// refusal is the answer to a take that the entry refuses.
func (e *entry) refusal(op stint.Op, now int64) (stint.Answer, stint.Mark) {
	a, m := e.aged(now)
	switch {
	case op.Min > e.limit.Capacity():
		a.Wait = stint.Forever
	case op.Min > e.least:
		m = m.Approximate()
	}
	return a, m
}

// passing is the answer to a take that would pass alone, in a call that is refused.
func (e *entry) passing(op stint.Op, now int64) (stint.Answer, stint.Mark) {
	a, m := e.aged(now)
	a.Granted, a.Wait = op.Min, 0
	return a, m
}
