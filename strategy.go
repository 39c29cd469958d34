package stint

import (
	"math"
	"time"
)

// Tick is the resolution of every store's clock. Instants and waits inside the core are whole numbers of ticks, instants
// counted from the Unix epoch.
const Tick = time.Microsecond

// Forever is a wait without end: as Op.Wait it charges regardless, as Answer.Wait it says never.
const Forever int64 = math.MaxInt64

// MaxInstant is the last instant, in ticks, that a store's clock may show: the year 2077. What a limit books ahead of it
// still fits in a State.
const MaxInstant int64 = 1<<52 - 1<<50 - 1

// A Strategy says how a limit counts. It is one pure transition: no clock, no input or output, no allocation, and the same
// for every operation, since an operation is a value. One type is all that a strategy of your own needs, and it works on
// every store; the built-in ones are in the files named after them.
//
// A strategy must be safe for concurrent use, which a type without mutable fields is by itself.
type Strategy interface {
	// Name tells strategies apart: in limit texts, in policies, and in a store that has a transcription of this one. A
	// strategy with parameters says them in its name. Built-in names are one word with hyphens.
	Name() string

	// Words is how much state a key of this limit needs: 1 for State.A alone (the fastest), 2 or 3 for A, B and C, and more
	// for a State that also keeps up to that many cells in its Log.
	Words(l *Limit) int

	// Compile checks the limit once, before its first use, and refuses what this strategy cannot count exactly.
	Compile(l *Limit) error

	// Apply does op at the instant now to the state s of one key, and returns the state after it and the answer. A refusal
	// or a look returns s itself. The zero State is a new key's, and any State with A <= now<<11 must behave like it, since a
	// store may forget such a state at any time.
	Apply(s State, l *Limit, now int64, op Op) (State, Answer)
}

// State is what a store keeps for one key of one limit. A says when the key may be forgotten, in every strategy: at any
// instant now with A <= now<<11 the state equals the zero State. B and C are the strategy's own. At most four words, so that
// it travels in registers.
type State struct {
	A, B, C int64
	Log     *Cells
}

// Forgettable says whether the state equals a new key's at the instant now.
func (s State) Forgettable(now int64) bool { return s.A <= now<<11 }

// Op is an operation on one key: the largest grant g in [Min, Max] that is free within Wait ticks. Make one with the
// functions below; Kind says which it was.
type Op struct{ Min, Max, Wait int64 }

// TakeOp takes n units now, or nothing.
func TakeOp(n int64) Op { return Op{n, n, 0} }

// UpToOp takes as many of n units as are free now, at least one.
func UpToOp(n int64) Op { return Op{1, n, 0} }

// WithinOp takes n units that are free within wait ticks, booking ahead.
func WithinOp(n, wait int64) Op { return Op{n, n, wait} }

// ChargeOp takes n units regardless, into debt if need be.
func ChargeOp(n int64) Op { return Op{n, n, Forever} }

// LookOp changes nothing. Its answer's Wait is how long n units would have to wait: 0 if they would be granted now.
func LookOp(n int64) Op { return Op{Min: n} }

// CreditOp gives n units, up to a full key. It is a gift: it raises what law 1 promises by n.
func CreditOp(n int64) Op { return Op{0, -n, 0} }

// RefundOp gives back n units that were taken at the instant at, as far as time has not given them back already.
func RefundOp(n, at int64) Op { return Op{0, -n, at} }

// UndoOp takes back a booking of n units, as if it had never been made, if the key is still to be as good as new at the instant
// full: if nobody has booked since. Only the strategies that book ahead know it.
func UndoOp(n, full int64) Op { return Op{full, -n, 0} }

// inSteps says that several claims of a call are granted in step, a number of times Min.
func (o Op) inSteps() bool { return o.Max > 0 && o.Min < o.Max }

// ResetOp makes the key a new one.
func ResetOp() Op { return Op{0, -math.MaxInt64, 0} }

// Kind sorts operations, for strategies that switch on it.
func (o Op) Kind() OpKind {
	switch {
	case o.Max > 0 && o.Wait == Forever:
		return Charge
	case o.Max > 0:
		return Grant
	case o.Max == 0:
		return Look
	case o.Min != 0:
		return Undo
	case o.Max == -math.MaxInt64 && o.Wait == 0:
		return Clear
	case o.Wait == 0:
		return Credit
	default:
		return Refund
	}
}

// OpKind is what an operation does, apart from its numbers.
type OpKind uint8

// The kinds of operation.
const (
	Look   OpKind = iota // changes nothing
	Grant                // take n, up to n, or n within a wait
	Charge               // take n regardless
	Refund               // give back what was taken at an instant
	Credit               // a gift
	Clear                // become a new key
	Undo                 // take back a booking
)

// Answer is what a strategy says to an operation, about the state after it. Times are in ticks.
type Answer struct {
	Granted   int64 // units granted, or given back
	Wait      int64 // granted: until the grant's instant (0 unless booked ahead). Else: until Min would be granted, or Forever
	Remaining int64 // how many takes of one unit would now pass, one after the other
	Reset     int64 // until the key is as good as new, if nobody calls
}
