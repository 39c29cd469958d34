package limittest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stint-go/stint"
	"pgregory.net/rapid"
)

// script draws the operations of a random trace on one key. It remembers what was granted, to refund it, and the last refusal,
// to come back exactly when told to.
type script struct {
	limit    *stint.Limit
	books    bool // the strategy can book ahead
	receipts []receipt
	last     stint.Answer
	trace    []string // what was done, for whoever reads of a failure
}

// receipt is what was granted and not yet refunded.
type receipt struct{ at, units int64 }

// kinds are what a trace may hold besides takes and looks.
type kinds struct {
	ahead    bool // bookings ahead, where the strategy can
	giveBack bool // refunds by receipt
	gifts    bool // credits, charges and resets, which raise or lower what law 1 promises
	back     bool // a clock that steps back
}

var everything = kinds{true, true, true, true}

// cost draws how much to ask for: often little, often about the whole capacity, sometimes what can never be.
func (s *script) cost(t *rapid.T) int64 {
	c := s.limit.Capacity()
	switch rapid.IntRange(0, 9).Draw(t, "cost") {
	case 0, 1, 2, 3:
		return 1
	case 4:
		return max(1, c)
	case 5:
		return rapid.Int64Range(1, max(1, c)).Draw(t, "n")
	case 6:
		return rapid.Int64Range(1, max(1, min(c, 5))).Draw(t, "n")
	case 7:
		return max(1, c-1)
	case 8:
		return max(1, c/2)
	}
	return rapid.SampledFrom([]int64{c, min(c, math.MaxInt64-1) + 1, math.MaxInt64}).Draw(t, "n")
}

// op draws an operation.
func (s *script) op(t *rapid.T, k kinds) stint.Op {
	n := s.cost(t)
	k.gifts = k.gifts && s.limit.Capacity() > 0 // nothing is promised of gifts and charges under a limit of 0
	switch kind := rapid.IntRange(0, 19).Draw(t, "kind"); {
	case kind < 9:
		return stint.TakeOp(max(1, n))
	case kind < 10:
		return stint.UpToOp(max(1, n))
	case kind < 11: // as leases ask: for a call, and more for later
		return stint.Op{Min: max(1, n), Max: max(1, n) + rapid.Int64Range(0, min(max(1, s.limit.Capacity()), math.MaxInt64-max(1, n))).Draw(t, "more")}
	case kind < 13:
		return stint.LookOp(max(1, n))
	case kind == 13 && s.books && k.ahead:
		return stint.WithinOp(max(1, n), rapid.Int64Range(1, 2*s.span()).Draw(t, "within"))
	case kind < 16 && k.giveBack && len(s.receipts) > 0:
		i := rapid.IntRange(0, len(s.receipts)-1).Draw(t, "receipt")
		r := s.receipts[i]
		s.receipts = append(s.receipts[:i:i], s.receipts[i+1:]...)
		return stint.RefundOp(rapid.Int64Range(1, r.units).Draw(t, "refund"), r.at)
	case kind == 16 && k.gifts:
		return stint.CreditOp(rapid.Int64Range(1, 2*min(s.limit.Capacity(), 1<<40)).Draw(t, "gift"))
	case kind == 17 && k.gifts && s.mayOwe():
		return stint.ChargeOp(rapid.Int64Range(1, s.limit.Capacity()).Draw(t, "charge"))
	case kind == 18 && k.gifts:
		return stint.ResetOp()
	}
	return stint.TakeOp(1)
}

// mayOwe says whether a charge is within what a key may owe: debts are bounded, and exact up to a capacity that fills in a few
// years.
func (s *script) mayOwe() bool {
	fill := float64(s.limit.Capacity()) / float64(s.limit.Units) * float64(s.limit.Per)
	return fill < float64(3*365*24*time.Hour) && (s.last.Remaining > 0 || len(s.trace) == 0)
}

// span is about how long the limit's memory lasts, in ticks.
func (s *script) span() int64 { return max(1, int64(s.limit.Per/stint.Tick)) }

// did remembers the answer to op, done at now.
func (s *script) did(now int64, op stint.Op, a stint.Answer) {
	s.last = a
	s.trace = append(s.trace, fmt.Sprintf("%d: %s = %+v", now-Start, show(op), a))
	if op.Kind() == stint.Grant && a.Granted > 0 {
		s.receipts = append(s.receipts, receipt{now, a.Granted})
		if len(s.receipts) > 8 {
			s.receipts = s.receipts[1:]
		}
	}
	if op.Kind() == stint.Clear {
		s.receipts = nil
	}
}

const decade = int64(10 * 365 * 24 * time.Hour / stint.Tick)

// move draws the next instant: the same, a little later, exactly when the last refusal said or one tick before, an edge of a
// window, far ahead, or back.
func (s *script) move(t *rapid.T, now int64, k kinds) int64 {
	span := s.span()
	var next int64
	switch kind := rapid.IntRange(0, 11).Draw(t, "time"); {
	case kind < 2:
		next = now + rapid.Int64Range(0, 3).Draw(t, "ticks")
	case kind < 5:
		next = now + rapid.Int64Range(0, span).Draw(t, "ticks")
	case kind < 7 && s.last.Wait > 0 && s.last.Wait < decade:
		next = now + s.last.Wait - rapid.Int64Range(0, 1).Draw(t, "early")
	case kind == 7 && s.last.Reset < decade:
		next = now + s.last.Reset - rapid.Int64Range(-1, 1).Draw(t, "early")
	case kind == 8:
		next = now - now%span + span - rapid.Int64Range(0, 1).Draw(t, "early")
	case kind == 9:
		next = now + rapid.Int64Range(0, min(decade, 100*span)).Draw(t, "ticks")
	case kind == 10 && k.back:
		next = now - rapid.Int64Range(1, 2*span).Draw(t, "ticks")
	case kind == 11 && k.back:
		next = now + rapid.SampledFrom([]int64{-decade, decade}).Draw(t, "jump")
	default:
		next = now + max(1, span/8)
	}
	if !k.back {
		next = max(next, now)
	}
	// The decades of this kit: far from the first and the last instant that a store's clock may show.
	switch {
	case next >= Start-decade && next <= Start+2*decade:
		return next
	case k.back:
		return Start
	}
	return now
}

// history is the end of the trace.
func (s *script) history() string {
	return "\n" + strings.Join(s.trace[max(0, len(s.trace)-30):], "\n")
}
