package stint

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// What the logs of keys take is given back when they are reset, refused or forgotten.
func TestMemoryCountsTheBytesOfLogs(t *testing.T) {
	ctx := context.Background()
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerHour(100))
	l.Allow("k")
	before := m.Stats().Bytes
	for range 1000 {
		l.Reset(ctx, "k")
		l.Allow("k")
	}
	if after := m.Stats().Bytes; after != before {
		t.Errorf("resets: %d to %d bytes", before, after)
	}
	for k := range 10000 {
		l.Allow(fmt.Sprint(k))
	}
	clock.advance(2 * time.Hour)
	m.Compact()
	if after := m.Stats().Bytes; after > 10000 {
		t.Errorf("after all: %d bytes, %d keys", after, m.Stats().Keys)
	}
	two := newTestLimiter(t, m, PerHour(100).WithID("a"), PerHour(4).WithID("b"))
	for range 4 {
		two.Allow("k")
		clock.advance(time.Millisecond)
	}
	before = m.Stats().Bytes
	for range 1000 {
		two.Allow("k")
	}
	if after := m.Stats().Bytes; after != before {
		t.Errorf("refusals: %d to %d bytes", before, after)
	}
}

// A blocked key waits for the block and for its limit, and is charged by what charges regardless.
func TestMemoryBlockedKey(t *testing.T) {
	ctx := context.Background()
	m, _ := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerHour(10))
	l.AllowN("k", 10)
	l.Block(ctx, "k", time.Minute)
	d, _ := l.Take(ctx, "k", 1)
	if d.RetryAfter != time.Hour {
		t.Errorf("retry after %v", d.RetryAfter)
	}
	l.Block(ctx, "j", time.Minute)
	l.Charge(ctx, "j", 4)
	l.Block(ctx, "j", 0)
	if d, _ := l.Peek(ctx, "j", 1); d.Remaining != 6 {
		t.Errorf("remaining %d", d.Remaining)
	}
}

// A call with several claims during which the block ends is charged like any other.
func TestMemoryBlockEndsDuringACall(t *testing.T) {
	ctx := context.Background()
	var clock, step atomic.Int64
	clock.Store(1_700_000_000_000_000)
	m, _ := NewMemory(MemoryOptions{Clock: func() int64 { return clock.Add(step.Load()) }})
	l := newTestLimiter(t, m, PerHour(10).WithID("a"), PerHour(10).WithID("b"))
	l.Block(ctx, "k", 10*time.Microsecond)
	step.Store(6)
	got := 0
	for range 30 {
		if l.Allow("k") {
			got++
		}
	}
	if got != 10 {
		t.Errorf("granted %d", got)
	}
}

// An old instant does not refill a new key for the time since.
func TestAllowAtAnOldInstant(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerHour(10).WithBurst(10))
	old := l.Now()
	clock.advance(time.Hour)
	l.Allow("other")
	got := 0
	for range 20 {
		if l.AllowAt("k", 1, old) {
			got++
		}
		if l.Allow("k") {
			got++
		}
	}
	if got != 10 {
		t.Errorf("granted %d at once", got)
	}
}

// Gifts are given once and charges go through, whether or not the keys of the call are there.
func TestMemoryAllWithGiftsAndCharges(t *testing.T) {
	ctx := context.Background()
	m, _ := newTestMemory(t, MemoryOptions{})
	l, _ := NewWith(Options{Store: m})
	a, _ := PerHour(10).WithID("a").Compile()
	b, _ := PerHour(10).WithID("b").Compile()
	l.TakeAll(ctx, []Claim{NewClaim(a, "k", 8)}, nil)
	l.TakeAll(ctx, []Claim{{Limit: a, Key: "k", Op: CreditOp(3)}, NewClaim(b, "k", 1)}, nil)
	d, _ := l.PeekAll(ctx, []Claim{NewClaim(a, "k", 1)}, nil)
	if d.Remaining != 5 {
		t.Errorf("remaining %d", d.Remaining)
	}
	d, _ = l.TakeAll(ctx, []Claim{{Limit: a, Key: "k", Op: ChargeOp(7)}, NewClaim(b, "new", 1)}, nil)
	if !d.Allowed {
		t.Errorf("charge refused %+v", d)
	}
}

// A key in debt that is evicted waits no shorter.
func TestMemoryEvictedKeyKeepsItsDebt(t *testing.T) {
	ctx := context.Background()
	for _, limit := range []Limit{
		{Units: 3_000_017, Per: time.Hour, Burst: 100, Strategy: TokenBucket{}}, // in three words
		{Units: 100, Per: time.Hour, Strategy: IntervalBucket{}},
		{Units: 100, Per: time.Hour, Strategy: SlidingLog{}},
		{Units: 100, Per: time.Hour, Strategy: SlidingCounter{}},
		{Units: 100, Per: time.Hour, Strategy: CalendarWindow{}},
	} {
		m, _ := newTestMemory(t, MemoryOptions{MaxKeys: 200})
		l := newTestLimiter(t, m, limit)
		l.Charge(ctx, "k", 5*l.Limits()[0].Capacity())
		before, _ := l.Peek(ctx, "k", 1)
		for k := range 5000 {
			l.Charge(ctx, fmt.Sprint("flood", k), 6*l.Limits()[0].Capacity())
		}
		d, _ := l.Peek(ctx, "k", 1)
		if d.RetryAfter < before.RetryAfter {
			t.Errorf("%s: retry after %v, before the eviction %v", limit.Strategy.Name(), d.RetryAfter, before.RetryAfter)
		}
	}
}

// atTheEnd is a strategy of one word that grants once and leaves an A at the end of the range.
type atTheEnd struct{ a int64 }

func (atTheEnd) Name() string         { return "at-the-end" }
func (atTheEnd) Words(*Limit) int     { return 1 }
func (atTheEnd) Compile(*Limit) error { return nil }
func (x atTheEnd) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	if op.Max <= 0 || s.A > now<<11 {
		return s, Answer{Wait: max(0, s.A>>11-now), Remaining: 1}
	}
	return State{A: x.a}, Answer{Granted: op.Max, Remaining: 1}
}

// The least and the largest A of somebody else's strategy mean what they say.
func TestMemoryExtremeStates(t *testing.T) {
	for a, again := range map[int64]bool{-1: true, -1 << 63: true, 0: true, 1<<63 - 1: false, 1<<63 - 2: false} {
		m, _ := newTestMemory(t, MemoryOptions{})
		l := newTestLimiter(t, m, Limit{ID: "a", Units: 1, Per: time.Hour, Strategy: atTheEnd{a}}, PerHour(10).WithID("b"))
		one := newTestLimiter(t, m, Limit{ID: "c", Units: 1, Per: time.Hour, Strategy: atTheEnd{a}})
		for i := range 3 {
			if got := one.Allow("k"); got != (i == 0 || again) {
				t.Errorf("A = %d: call %d: %v", a, i, got)
			}
			within(t, "a call with two claims", func() {
				if got := l.Allow("k"); got != (i == 0 || again) {
					t.Errorf("A = %d: call %d with two claims: %v", a, i, got)
				}
			})
		}
	}
}

// A debt at the last instant of the clock is a debt.
func TestMemoryLastInstant(t *testing.T) {
	ctx := context.Background()
	m, clock := newTestMemory(t, MemoryOptions{})
	clock.Store(MaxInstant)
	for _, s := range []Strategy{TokenBucket{}, Pacing{}, SlidingLog{}, FixedWindow{}, SlidingCounter{}, CalendarWindow{}, IntervalBucket{}, Concurrency{}} {
		l := newTestLimiter(t, m, Limit{Units: 10, Per: time.Hour, Strategy: s})
		if err := l.Charge(ctx, "k", Forever-1); err != nil {
			t.Fatal(err)
		}
		if l.Allow("k") {
			t.Errorf("%s: granted in debt", s.Name())
		}
	}
}

// The slots of a segment begin at a cache line, and no memory is lost around it, since Go puts a word of its own before it.
func TestSegmentsFillLines(t *testing.T) {
	for _, lines := range []uint64{leastLines, 63, splitLines, mostLines} {
		for _, cells := range []bool{false, true} {
			for range 5 {
				s := newSegment(lines, cells)
				kept = append(kept, s)
				if at := uintptr(unsafe.Pointer(s.at(0))); at%lineSize != 0 {
					t.Errorf("a segment of %d lines has its slots at %d past a line", lines, at%lineSize)
				}
			}
		}
	}
	kept = nil
}

var kept []*segment // on the heap
