package stint

import (
	"context"
	"time"
)

// A Store is where counts live and where a call happens atomically. All methods are safe for concurrent use. The limits
// given to it are compiled ([Limit.Compile]). An error is never a denial.
//
// Time is the store's own and goes only forward for a key: a caller's clock never enters it.
type Store interface {
	// One does one operation on one key of one limit.
	One(ctx context.Context, l *Limit, key string, op Op) (Answer, Mark, error)

	// All does the operations of all claims or none: each outcome says what its claim would have got alone, and the call is
	// granted if every claim was. Operations with Min < Max are granted in step: the same number of times Min for each claim.
	// No two claims are on the same limit and key (the limiter adds them up). len(into) is len(claims).
	All(ctx context.Context, claims []Claim, into []Outcome) error

	// Many does the claims one by one, each for itself, and puts the error of each into its outcome. len(into) is len(claims).
	Many(ctx context.Context, claims []Claim, into []Outcome) error

	// Refund does the operation, a RefundOp, if the receipt's nonce was not seen before; else ErrReceiptUsed. It gives nothing for
	// a take from before the key's last reset. A nonce of 0 is not remembered: the caller sees to it that it comes once.
	Refund(ctx context.Context, l *Limit, key string, op Op, nonce uint64) (Answer, Mark, error)

	// Block refuses the key for a time, whatever it has left; 0 lifts the block. A block survives a reset.
	Block(ctx context.Context, l *Limit, key string, d time.Duration) error

	// Close releases what the store holds. Later calls return ErrClosed.
	Close() error
}

// CallStore is a Store that can decide several calls in one go, which saves round trips where it is far away. The store of package
// batch merges calls with several claims on one that is.
type CallStore interface {
	Store

	// AllInTurn decides calls one after the other, each as All does. The claims of a call end in claims where ends says, those of
	// the next begin there. What fails for one call is the error of each of its outcomes; an error returned is every call's.
	AllInTurn(ctx context.Context, claims []Claim, ends []int, into []Outcome) error
}

// Claim is one operation of a call on one key of one limit.
type Claim struct {
	Limit *Limit
	Key   string
	Op    Op

	// Shadow decides and charges the claim beside the others without a say in the call. The limiter sees to it; stores do not.
	Shadow bool
}

// Outcome is a claim's part of the result.
type Outcome struct {
	Answer
	Mark Mark
	Err  error
}

// Mark is what a store knows of an answer besides its numbers: when it was given, in the store's ticks, and flags.
type Mark int64

const (
	markBlocked     Mark = 1 << iota // refused because the key is blocked
	markApproximate                  // decided from an upper bound of the key's use
	markDegraded                     // decided without the store
	markUnknown                      // refused, and when it would be granted is not known
	markBits        = 8
)

// NewMark is the mark of an answer given at the instant at.
func NewMark(at int64) Mark { return Mark(at << markBits) }

// At is the store's instant of the answer.
func (m Mark) At() int64 { return int64(m) >> markBits }

// Blocked marks a refusal of a blocked key.
func (m Mark) Blocked() Mark { return m | markBlocked }

// Approximate marks an answer taken from an upper bound of the key's use.
func (m Mark) Approximate() Mark { return m | markApproximate }

// Degraded marks an answer given without the store.
func (m Mark) Degraded() Mark { return m | markDegraded }

// Unknown marks a refusal of which nobody knows when it ends.
func (m Mark) Unknown() Mark { return m | markUnknown }

func (m Mark) has(flag Mark) bool { return m&flag != 0 }
