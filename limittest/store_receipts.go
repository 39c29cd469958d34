package limittest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// storeReceipts gives back what a receipt proves, once, and no more than was taken.
func storeReceipts(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	ctx := context.Background()
	for _, limit := range s.lasting(t, 10) {
		if !countsUnits(limit) || s.RealClock && booksAhead(limit.Strategy) {
			continue // pacing has no ten units to give at once, and a token bucket refills a fraction of one meanwhile
		}
		l := limiter(t, store, *limit)
		first, second := take(t, l, "k", 4), take(t, l, "k", 3)
		receipt, ok := first.Receipt()
		if !ok {
			t.Fatalf("%s: no receipt for %+v", showLimit(limit), first)
		}
		more := receipt
		more.N++
		if n, err := l.Refund(ctx, receipt); n != 4 || err != nil {
			t.Fatalf("%s: refund of 4: %d, %v", showLimit(limit), n, err)
		}
		for range 3 {
			if n, err := l.Refund(ctx, receipt); n != 0 || !errors.Is(err, stint.ErrReceiptUsed) {
				t.Fatalf("%s: a second refund of the same take: %d, %v", showLimit(limit), n, err)
			}
		}
		if n, err := l.Refund(ctx, more); n != 0 || err == nil {
			t.Fatalf("%s: a used receipt for more: %d, %v", showLimit(limit), n, err)
		}
		if a := one(t, store, limit, "k", stint.LookOp(1)); a.Remaining != 7 {
			t.Fatalf("%s: %d remain of 10 less 3", showLimit(limit), a.Remaining)
		}
		other, _ := second.Receipt()
		other.LimitID += "-other"
		if n, err := l.Refund(ctx, other); n != 0 || !errors.Is(err, stint.ErrReceiptForeign) {
			t.Fatalf("%s: another limit's receipt: %d, %v", showLimit(limit), n, err)
		}
		settle(t, l, limit, store)
	}
}

// storeReceiptsAtOnce: of callers who give back the same receipt at the same moment one does.
func storeReceiptsAtOnce(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	for _, limit := range s.lasting(t, 10) {
		if !countsUnits(limit) || s.RealClock && booksAhead(limit.Strategy) {
			continue
		}
		for round := range s.some(50, 5) {
			key := fmt.Sprint("receipt", round)
			a, mark, err := store.One(context.Background(), limit, key, stint.TakeOp(4))
			if err != nil || a.Granted != 4 {
				t.Fatalf("%s: take 4 of 10: %+v, %v", showLimit(limit), a, err)
			}
			nonce := s.nonce()
			var back, used atomic.Int64
			together(s.Callers, func(int) {
				a, _, err := store.Refund(context.Background(), limit, key, stint.RefundOp(4, mark.At()), nonce)
				if errors.Is(err, stint.ErrReceiptUsed) {
					used.Add(1)
				} else if err == nil {
					back.Add(a.Granted)
				}
			})
			if back.Load() != 4 || used.Load() != int64(s.Callers-1) {
				t.Fatalf("%s: %d units of 4 given back, %d of %d callers told that the receipt is used", showLimit(limit), back.Load(),
					used.Load(), s.Callers)
			}
		}
	}
}

// settle holds reservations to the same: settled once, up or down.
func settle(t *testing.T, l *stint.Limiter, limit *stint.Limit, store stint.Store) {
	t.Helper()
	ctx := context.Background()
	for i, c := range []struct{ reserve, actual, left int64 }{{5, 5, 5}, {5, 2, 8}, {5, 0, 10}, {5, 7, 3}, {5, 12, 0}, {1, 10, 0}} {
		key := fmt.Sprint("reserved", i)
		r, err := l.Reserve(ctx, key, c.reserve)
		if err != nil || !r.Decision.Allowed {
			t.Fatalf("%s: reserve %d: %v", showLimit(limit), c.reserve, err)
		}
		if err := r.Commit(ctx, c.actual); err != nil {
			t.Fatalf("%s: commit %d of %d: %v", showLimit(limit), c.actual, c.reserve, err)
		}
		if err := r.Cancel(ctx); !errors.Is(err, stint.ErrReceiptUsed) {
			t.Fatalf("%s: cancel after commit: %v", showLimit(limit), err)
		}
		if a := one(t, store, limit, key, stint.LookOp(1)); a.Remaining != c.left {
			t.Fatalf("%s: %d reserved, %d committed: %d remain, want %d", showLimit(limit), c.reserve, c.actual, a.Remaining, c.left)
		}
	}
}

// storeResetVoids: a reset makes a new key, and receipts from before it are worth nothing.
func storeResetVoids(t *testing.T, s *shelf) {
	store, clock := s.store(t)
	ctx := context.Background()
	for _, limit := range s.lasting(t, 10) {
		if !countsUnits(limit) {
			continue
		}
		l := limiter(t, store, *limit)
		old := take(t, l, "k", 6)
		clock.pass(5)
		if err := l.Reset(ctx, "k"); err != nil {
			t.Fatal(err)
		}
		if d := take(t, l, "k", 0); d.Remaining != 10 || d.ResetAfter != 0 {
			t.Fatalf("%s: after a reset %+v", showLimit(limit), d)
		}
		clock.pass(5)
		take(t, l, "k", 10)
		receipt, _ := old.Receipt()
		if n, err := l.Refund(ctx, receipt); n != 0 {
			t.Fatalf("%s: a receipt from before the reset gave back %d (%v)", showLimit(limit), n, err)
		}
		if a := one(t, store, limit, "k", stint.LookOp(1)); a.Remaining != 0 {
			t.Fatalf("%s: a receipt from before the reset freed %d", showLimit(limit), a.Remaining)
		}
		// All in one tick, where the clock can be told to.
		early := take(t, l, "tick", 6)
		if err := l.Reset(ctx, "tick"); err != nil {
			t.Fatal(err)
		}
		take(t, l, "tick", 10)
		receipt, _ = early.Receipt()
		if n, err := l.Refund(ctx, receipt); n != 0 {
			t.Fatalf("%s: a receipt from before a reset in the same tick gave back %d (%v)", showLimit(limit), n, err)
		}
	}
}

// storeBlocks: a block refuses whatever is left, survives a reset and is lifted by 0.
func storeBlocks(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	ctx := context.Background()
	for _, limit := range s.lasting(t, 10) {
		l := limiter(t, store, *limit)
		if err := l.Block(ctx, "k", time.Hour); err != nil {
			t.Fatal(err)
		}
		blocked := func(after string) {
			t.Helper()
			d := take(t, l, "k", 1)
			if d.Allowed || d.Reason != stint.Blocked || d.RetryAfter <= 0 || d.RetryAfter > time.Hour || l.Allow("k") {
				t.Fatalf("%s: blocked, after %s: %+v", showLimit(limit), after, d)
			}
			if p, err := l.Peek(ctx, "k", 1); err != nil || p.Allowed {
				t.Fatalf("%s: blocked, after %s: a peek says %+v, %v", showLimit(limit), after, p, err)
			}
			if z := take(t, l, "k", 0); z.Allowed {
				t.Fatalf("%s: blocked, after %s: a call of cost 0: %+v", showLimit(limit), after, z)
			}
		}
		blocked("the block")
		if err := l.Reset(ctx, "k"); err != nil {
			t.Fatal(err)
		}
		blocked("a reset")
		if err := l.Credit(ctx, "k", 5); err != nil {
			t.Fatal(err)
		}
		blocked("a gift")
		if d := take(t, l, "other", 1); !d.Allowed {
			t.Fatalf("%s: another key is blocked, too: %+v", showLimit(limit), d)
		}
		claims := []stint.Claim{stint.NewClaim(limit, "third", 1), stint.NewClaim(limit, "k", 1)}
		if d, err := l.TakeAll(ctx, claims, nil); err != nil || d.Allowed || d.Reason != stint.Blocked {
			t.Fatalf("%s: a call with a claim on a blocked key: %+v, %v", showLimit(limit), d, err)
		}
		if err := l.Block(ctx, "k", 0); err != nil {
			t.Fatal(err)
		}
		if d := take(t, l, "k", 1); !d.Allowed {
			t.Fatalf("%s: the block was lifted: %+v", showLimit(limit), d)
		}
	}
}

// storeBlockEnds: a block ends when it said.
func storeBlockEnds(t *testing.T, s *shelf) {
	store, clock := s.store(t)
	ctx := context.Background()
	for _, limit := range s.lasting(t, 10) {
		l := limiter(t, store, *limit)
		if clock == nil {
			blockPasses(t, l, limit)
			continue
		}
		if err := l.Block(ctx, "k", time.Minute); err != nil {
			t.Fatal(err)
		}
		clock.Advance(ticks(time.Minute) - 1)
		if d := take(t, l, "k", 1); d.Allowed || d.RetryAfter != stint.Tick {
			t.Fatalf("%s: a tick before the block's end: %+v", showLimit(limit), d)
		}
		clock.Advance(1)
		if d := take(t, l, "k", 1); !d.Allowed {
			t.Fatalf("%s: after the block's end: %+v", showLimit(limit), d)
		}
		clock.Set(Start)
	}
}

// blockPasses is the same on the store's own time: refused by every call that was answered before the end, and not by one that
// was made after it.
func blockPasses(t *testing.T, l *stint.Limiter, limit *stint.Limit) {
	const long = 20 * time.Millisecond
	before := time.Now()
	if err := l.Block(context.Background(), "k", long); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	for {
		time.Sleep(between)
		asked := time.Now()
		d := take(t, l, "k", 1)
		switch answered := time.Now(); {
		case d.Allowed && answered.Sub(before) < long:
			t.Fatalf("%s: blocked for %v, and let through after %v: %+v", showLimit(limit), long, answered.Sub(before), d)
		case d.Allowed:
			return
		case asked.Sub(after) > long+slack:
			t.Fatalf("%s: blocked for %v, and still after %v: %+v", showLimit(limit), long, asked.Sub(after), d)
		}
	}
}

// slack is how far a store's clock may be off the machine's in a moment.
const slack = 5 * time.Millisecond

// between is how long to leave a store alone that is asked over and over whether a time has passed.
const between = time.Millisecond / 2
