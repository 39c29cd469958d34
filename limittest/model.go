package limittest

import (
	"math/big"
	"time"

	"github.com/stint-go/stint"
)

// Model is the exact reference of one key of one limit. The kit's own are written from the laws alone, in rational numbers
// without bounds, with no thought of speed; a strategy has to answer every operation as its model does.
type Model interface {
	// Apply does op at the instant now, in ticks, and answers about the state after it. A refusal or a look changes nothing.
	Apply(now int64, op stint.Op) stint.Answer

	// Clone is an independent copy.
	Clone() Model
}

// NewModel is a new key of the limit, which must be compiled and count by a built-in strategy; nil for any other.
func NewModel(l *stint.Limit) Model {
	if l.Capacity() == 0 {
		return denyModel{}
	}
	switch l.Strategy.(type) {
	case stint.TokenBucket:
		return newBucketModel(l)
	case stint.Pacing:
		return newPacingModel(l)
	case stint.IntervalBucket:
		return newIntervalModel(l)
	case stint.FixedWindow, stint.CalendarWindow:
		return newWindowModel(l)
	case stint.SlidingLog, stint.Concurrency:
		return newLogModel(l)
	case stint.SlidingCounter:
		return newCounterModel(l)
	}
	return nil
}

// denyModel is a limit of 0: it admits nothing, ever, and holds nothing.
type denyModel struct{}

func (denyModel) Clone() Model { return denyModel{} }

func (denyModel) Apply(_ int64, op stint.Op) stint.Answer {
	if op.Max < 0 {
		return stint.Answer{}
	}
	return stint.Answer{Wait: stint.Forever}
}

// rateOf is the limit's rate in units a tick.
func rateOf(l *stint.Limit) *big.Rat {
	r := big.NewRat(l.Units, 1)
	return r.Mul(r, big.NewRat(int64(stint.Tick/time.Nanosecond), int64(l.Per)))
}

func whole(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

// longest is the longest wait that is not never.
const longest = stint.Forever - 1

// floor and ceil are a rational as a whole number; what is beyond an int64 is the nearest one.
func floor(r *big.Rat) int64 {
	q := new(big.Int).Div(r.Num(), r.Denom())
	return clampInt(q)
}

func ceil(r *big.Rat) int64 {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() != 0 {
		q.Add(q, big.NewInt(1))
	}
	return clampInt(q)
}

func clampInt(i *big.Int) int64 {
	if i.IsInt64() {
		return i.Int64()
	}
	if i.Sign() < 0 {
		return -stint.Forever
	}
	return stint.Forever
}

// later is the larger of two rationals.
func later(a, b *big.Rat) *big.Rat {
	if a.Cmp(b) >= 0 {
		return a
	}
	return b
}

// after is a - b, but not below 0.
func after(a, b *big.Rat) *big.Rat {
	d := new(big.Rat).Sub(a, b)
	if d.Sign() < 0 {
		return new(big.Rat)
	}
	return d
}
