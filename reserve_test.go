package stint

import (
	"context"
	"errors"
	"testing"
	"time"
)

func remaining(t *testing.T, l *Limiter, key string) int64 {
	t.Helper()
	d, err := l.Peek(context.Background(), key, 1)
	if err != nil {
		t.Fatal(err)
	}
	return d.Remaining
}

func TestReserve(t *testing.T) {
	ctx := context.Background()
	for name, limit := range kinds() {
		if name == "foreign" || name == "record" {
			continue // the test's own strategy gives back all at once
		}
		t.Run(name, func(t *testing.T) {
			m, _ := newTestMemory(t, MemoryOptions{})
			limit.Units = 100
			l := newTestLimiter(t, m, limit)
			for _, row := range []struct {
				what   string
				settle func(*Reservation) error
				left   int64
			}{
				{"an abandoned one stays charged", func(*Reservation) error { return nil }, 90},
				{"one that cost less gives back the rest", func(r *Reservation) error { return r.Commit(ctx, 4) }, 86},
				{"one that cost what was reserved", func(r *Reservation) error { return r.Commit(ctx, 10) }, 76},
				{"one that cost more charges the rest", func(r *Reservation) error { return r.Commit(ctx, 15) }, 61},
				{"a cancelled one gives back all", func(r *Reservation) error { return r.Cancel(ctx) }, 61},
				{"the rest is charged even into debt", func(r *Reservation) error { return r.Commit(ctx, 100) }, 0},
			} {
				r, err := l.Reserve(ctx, "k", 10)
				if err != nil || !r.Decision.Allowed {
					t.Fatalf("%s: %+v, %v", row.what, r, err)
				}
				if err := row.settle(r); err != nil {
					t.Fatalf("%s: %v", row.what, err)
				}
				if left := remaining(t, l, "k"); left != row.left {
					t.Errorf("%s: %d left, want %d", row.what, left, row.left)
				}
			}
			r, err := l.Reserve(ctx, "other", 10)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Cancel(ctx); err != nil {
				t.Fatal(err)
			}
			if err := r.Commit(ctx, 5); !errors.Is(err, ErrReceiptUsed) {
				t.Errorf("a second settlement: %v", err)
			}
			if err := r.Commit(ctx, -5); !errors.Is(err, ErrNegativeCost) {
				t.Errorf("a negative cost: %v", err)
			}
			if r, err = l.Reserve(ctx, "nothing", 0); err != nil {
				t.Fatal(err)
			}
			if err := r.Commit(ctx, 3); err != nil || remaining(t, l, "nothing") != 97 {
				t.Errorf("nothing was reserved, and 3 spent: %d left (%v)", remaining(t, l, "nothing"), err)
			}
		})
	}
}

func TestRefund(t *testing.T) {
	ctx := context.Background()
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, Limit{ID: "x", Units: 100, Per: 100 * time.Second, Strategy: TokenBucket{}})
	take := func(n int64) Receipt {
		t.Helper()
		d, err := l.Take(ctx, "k", n)
		r, ok := d.Receipt()
		if err != nil || !ok {
			t.Fatalf("%+v, %v", d, err)
		}
		return r
	}
	r := take(100)
	clock.advance(50 * time.Second)
	take(50)
	// The first take has been refilled by half, and that half was taken again: only the other half may come back.
	if n, err := l.Refund(ctx, r); n != 50 || err != nil {
		t.Errorf("%d given back, %v; want 50", n, err)
	}
	if _, err := l.Refund(ctx, r); !errors.Is(err, ErrReceiptUsed) {
		t.Errorf("a second refund: %v", err)
	}
	r = take(10)
	if err := l.Reset(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	take(100)
	if n, err := l.Refund(ctx, r); n != 0 || err != nil {
		t.Errorf("%d given back for a receipt from before the reset, %v", n, err)
	}
	if left := remaining(t, l, "k"); left != 0 {
		t.Errorf("%d left, want 0", left)
	}
	forged := r
	forged.LimitID = "y"
	if _, err := l.Refund(ctx, forged); !errors.Is(err, ErrReceiptForeign) {
		t.Errorf("a receipt of another limit: %v", err)
	}
	clock.advance(time.Hour)
	r = take(5)
	clock.advance(-30 * time.Minute)
	if n, _ := l.Refund(ctx, r); n != 0 {
		t.Errorf("a clock that stepped back gave %d back", n)
	}
}

func TestBlock(t *testing.T) {
	ctx := context.Background()
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerHour(100), PerMinute(50))
	if err := l.Block(ctx, "k", time.Minute); err != nil {
		t.Fatal(err)
	}
	d, err := l.Take(ctx, "k", 1)
	if err != nil || d.Allowed || d.Reason != Blocked || d.RetryAfter != time.Minute {
		t.Errorf("%+v, %v", d, err)
	}
	if err := l.Reset(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	if l.Allow("k") {
		t.Error("a reset lifted the block")
	}
	if !l.Allow("other") {
		t.Error("the block holds another key")
	}
	clock.advance(time.Minute - Tick)
	if l.Allow("k") {
		t.Error("granted a tick before the block's end")
	}
	clock.advance(Tick)
	if !l.Allow("k") {
		t.Error("refused after the block's end")
	}
	if err := l.Block(ctx, "k", time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := l.Block(ctx, "k", 0); err != nil {
		t.Fatal(err)
	}
	if !l.Allow("k") {
		t.Error("a lifted block still holds")
	}
	if m.unusual.Load() != 0 {
		t.Errorf("%d blocks are counted, want 0", m.unusual.Load())
	}
	for range 3 {
		if err := l.Block(ctx, "k", time.Second); err != nil {
			t.Fatal(err)
		}
	}
	clock.advance(2 * time.Second)
	l.Allow("k")
	if m.unusual.Load() != 0 {
		t.Errorf("%d blocks are counted after their end, want 0", m.unusual.Load())
	}
}

func TestCreditAndCharge(t *testing.T) {
	ctx := context.Background()
	for name, limit := range kinds() {
		if name == "foreign" || name == "record" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, _ := newTestMemory(t, MemoryOptions{})
			limit.Units = 10
			l := newTestLimiter(t, m, limit)
			l.AllowN("k", 8)
			for _, row := range []struct {
				what string
				do   func() error
				left int64
			}{
				{"a credit", func() error { return l.Credit(ctx, "k", 3) }, 5},
				{"one up to full", func() error { return l.Credit(ctx, "k", 100) }, 10},
				{"a charge", func() error { return l.Charge(ctx, "k", 4) }, 6},
				{"one into debt", func() error { return l.Charge(ctx, "k", 10) }, 0},
				{"a reset", func() error { return l.Reset(ctx, "k") }, 10},
			} {
				if err := row.do(); err != nil {
					t.Fatalf("%s: %v", row.what, err)
				}
				if left := remaining(t, l, "k"); left != row.left {
					t.Errorf("%s: %d left, want %d", row.what, left, row.left)
				}
			}
		})
	}
}

// A receipt is good to the end of its window, on days and months that are longer than the shortest, too.
func TestRefundAtTheEndOfACalendarWindow(t *testing.T) {
	ctx := context.Background()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for every, date := range map[CalendarSpan]time.Time{
		Day:   time.Date(2023, 11, 5, 12, 0, 0, 0, zone), // of 25 hours
		Week:  time.Date(2023, 11, 5, 12, 0, 0, 0, zone),
		Month: time.Date(2023, 12, 5, 12, 0, 0, 0, zone), // of 31 days
	} {
		m, clock := newTestMemory(t, MemoryOptions{})
		l := newTestLimiter(t, m, Limit{Units: 10, Strategy: CalendarWindow{Every: every, Zone: zone}, Per: time.Hour})
		start, end := CalendarWindow{Every: every, Zone: zone}.window(date.UnixMicro())
		clock.Store(start)
		d, err := l.Take(ctx, "k", 4)
		if err != nil {
			t.Fatal(err)
		}
		receipt, _ := d.Receipt()
		clock.Store(end - 1)
		if n, err := l.Refund(ctx, receipt); n != 4 || err != nil {
			t.Errorf("%v: %d given back in the last tick, want 4 (%v)", every, n, err)
		}
	}
}

// A receipt without a nonce could be used again and again.
func TestRefundWithoutANonce(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerHour(10))
	d, err := l.Take(context.Background(), "k", 4)
	if err != nil {
		t.Fatal(err)
	}
	receipt, _ := d.Receipt()
	receipt.Nonce = 0
	if n, err := l.Refund(context.Background(), receipt); n != 0 || !errors.Is(err, ErrReceiptForeign) {
		t.Errorf("%d given back, %v", n, err)
	}
}
