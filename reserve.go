package stint

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// Receipt proves a take, so that it can be given back once. It is a plain value that may leave the process; what comes back
// from elsewhere must be authenticated by whoever hands it out, since a forged receipt is a gift.
type Receipt struct {
	LimitID string
	Variant uint64 // of the limit's values: a receipt is void once they have changed
	Key     string
	N       int64
	At      int64 // the store's instant of the take, in ticks
	Nonce   uint64
}

// Receipt is the receipt for what the decision granted; false if it granted nothing, or did so without the store. A decision over
// several limits speaks of one of them: use [Limiter.Reserve] to give back to all.
func (d *Decision) Receipt() (Receipt, bool) {
	if d.Granted <= 0 || d.By == nil || d.nonce == 0 {
		return Receipt{}, false
	}
	return Receipt{d.By.ID, d.By.variant, d.key, d.Granted, d.at, d.nonce}, true
}

// Refund gives back what the receipt proves, as far as it is still worth anything: on a token bucket the part that has not been
// refilled since (nothing while the key is in debt or booked ahead), on windows what was taken in the window that still counts. It returns the units given back. A second time is
// ErrReceiptUsed.
func (l *Limiter) Refund(ctx context.Context, r Receipt) (int64, error) {
	return l.refund(ctx, r, r.N)
}

// refund gives back n of the receipt's units and uses it up.
func (l *Limiter) refund(ctx context.Context, r Receipt, n int64) (int64, error) {
	if err := check(r.Key, n); err != nil {
		return 0, err
	}
	if r.Nonce == 0 {
		return 0, ErrReceiptForeign // no decision gives it, and no store remembers it
	}
	for _, limit := range l.Limits() {
		if limit.ID != r.LimitID {
			continue
		}
		if limit.variant != r.Variant {
			return 0, nil
		}
		return l.refundTo(ctx, limit, r, n)
	}
	return 0, ErrReceiptForeign
}

func (l *Limiter) refundTo(ctx context.Context, limit *Limit, r Receipt, n int64) (int64, error) {
	if n > r.N {
		return 0, ErrReceiptForeign
	}
	if n == 0 {
		return 0, nil
	}
	a, _, err := l.store.Refund(ctx, limit, r.Key, RefundOp(n, r.At), r.Nonce)
	return a.Granted, err
}

// Reservation is units that were taken for a cost that is known only later. One that is neither committed nor cancelled stays
// charged.
type Reservation struct {
	// Decision says whether the units were granted. If it is not allowed there is nothing to commit or cancel.
	Decision Decision

	// Decisions are those of each claim, in their order.
	Decisions []Decision

	limiter *Limiter
	parts   []part
	done    atomic.Bool
}

// part is what a reservation took from one limit.
type part struct {
	limit   *Limit
	receipt Receipt
}

// newReservation is an empty reservation for so many claims. What most need is one piece of memory.
func newReservation(l *Limiter, claims int) *Reservation {
	if claims != 1 {
		return &Reservation{Decisions: make([]Decision, claims), limiter: l}
	}
	r := &struct {
		Reservation
		decisions [1]Decision
		parts     [1]part
	}{}
	r.limiter, r.Decisions, r.Reservation.parts = l, r.decisions[:], r.parts[:0]
	return &r.Reservation
}

// Reserve takes n units of the key now, to be settled by Commit or Cancel.
func (l *Limiter) Reserve(ctx context.Context, key string, n int64) (*Reservation, error) {
	var few [fewClaims]Claim
	claims := few[:0]
	for _, limit := range l.Limits() {
		claims = append(claims, NewClaim(limit, key, n))
	}
	return l.ReserveAll(ctx, claims)
}

// ReserveAll is Reserve for a call that makes several claims, as [Limiter.TakeAll] takes them.
func (l *Limiter) ReserveAll(ctx context.Context, claims []Claim) (*Reservation, error) {
	r := newReservation(l, len(claims))
	decisions := r.Decisions
	var err error
	if r.Decision, err = l.TakeAll(ctx, claims, decisions); err != nil {
		return nil, err
	}
	for i := range decisions {
		receipt, ok := decisions[i].Receipt()
		if !ok && decisions[i].Allowed && claims[i].Op.Max == 0 {
			receipt, ok = Receipt{Key: claims[i].Key}, true // nothing was taken, and Commit can still charge
		}
		if p := (part{decisions[i].By, receipt}); ok && !slices.Contains(r.parts, p) {
			r.parts = append(r.parts, p)
		}
	}
	// Only the reservation gives back what it holds, and itself sees to it that it does so once: the store need not remember it.
	r.Decision.nonce = 0
	for i := range decisions {
		decisions[i].nonce = 0
	}
	for i := range r.parts {
		r.parts[i].receipt.Nonce = 0
	}
	return r, nil
}

// Commit settles the reservation at the actual cost: what was reserved above it is given back as far as it is still worth
// anything, what it is above the reservation is charged regardless. A second Commit or Cancel does nothing and returns
// ErrReceiptUsed.
func (r *Reservation) Commit(ctx context.Context, actual int64) error {
	if actual < 0 {
		return ErrNegativeCost
	}
	return r.settle(ctx, func(*Limit, int64) int64 { return actual })
}

// CommitEach is Commit where limits differ in what the call cost: actual says it for each, of the units reserved. So a slot of a
// limit on concurrency is given back while the units of a rate stay charged. A negative cost counts as 0.
func (r *Reservation) CommitEach(ctx context.Context, actual func(l *Limit, reserved int64) int64) error {
	return r.settle(ctx, actual)
}

// Cancel gives the reservation back as far as it is still worth anything.
func (r *Reservation) Cancel(ctx context.Context) error { return r.Commit(ctx, 0) }

// settle brings every part to its actual cost.
func (r *Reservation) settle(ctx context.Context, actual func(l *Limit, reserved int64) int64) error {
	if r.done.Swap(true) {
		return ErrReceiptUsed
	}
	var failed error
	for _, p := range r.parts {
		n := p.receipt.N
		var err error
		if cost := max(0, actual(p.limit, n)); cost < n {
			_, err = r.limiter.refundTo(ctx, p.limit, p.receipt, n-cost)
		} else if cost > n {
			_, _, err = r.limiter.store.One(ctx, p.limit, p.receipt.Key, ChargeOp(cost-n))
		}
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// Credit gives n units to the key, up to a full one. It is a gift, which raises by n what the limit promises; to give back what
// was taken use Refund.
func (l *Limiter) Credit(ctx context.Context, key string, n int64) error {
	if err := check(key, n); err != nil || n == 0 {
		return err
	}
	return l.each(func(limit *Limit) error {
		_, _, err := l.store.One(ctx, limit, key, CreditOp(n))
		return err
	})
}

// Charge takes n units of the key regardless, into debt if need be.
func (l *Limiter) Charge(ctx context.Context, key string, n int64) error {
	if err := check(key, n); err != nil || n == 0 {
		return err
	}
	return l.each(func(limit *Limit) error {
		_, _, err := l.store.One(ctx, limit, key, ChargeOp(n))
		return err
	})
}

// Reset makes the key a new one and voids its receipts. A block stays.
func (l *Limiter) Reset(ctx context.Context, key string) error {
	if err := check(key, 0); err != nil {
		return err
	}
	return l.each(func(limit *Limit) error {
		_, _, err := l.store.One(ctx, limit, key, ResetOp())
		return err
	})
}

// Block refuses the key for a time, whatever it has left. 0 lifts the block.
func (l *Limiter) Block(ctx context.Context, key string, d time.Duration) error {
	if err := check(key, 0); err != nil {
		return err
	}
	if d < 0 {
		return ErrNegativeCost
	}
	return l.each(func(limit *Limit) error { return l.store.Block(ctx, limit, key, d) })
}

// each does f for every limit, and stops at the first error.
func (l *Limiter) each(f func(*Limit) error) error {
	for _, limit := range l.Limits() {
		if err := f(limit); err != nil {
			return err
		}
	}
	return nil
}
