package stint

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Callers that make one new key at once share it, also while the limit is in use with other values.
func TestMemoryMakesAKeyOnceInAFamily(t *testing.T) {
	for name, limit := range kinds() {
		t.Run(name, func(t *testing.T) {
			m, _ := newTestMemory(t, MemoryOptions{})
			limit.Units = 1
			other := limit
			other.Units = 2
			newTestLimiter(t, m, other).Allow("x")
			l := newTestLimiter(t, m, limit)
			bad := 0
			for k := range 3000 {
				var granted atomic.Int32
				var group sync.WaitGroup
				for range 4 {
					group.Go(func() {
						if l.Allow(fmt.Sprint(k)) {
							granted.Add(1)
						}
					})
				}
				group.Wait()
				if granted.Load() != 1 {
					bad++
				}
			}
			if bad > 0 {
				t.Errorf("%d keys granted more than once", bad)
			}
		})
	}
}

// A key that could be forgotten under old values is not counted there again beside the new ones.
func TestMemoryForgottenSlotStaysForgotten(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{})
	a := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: TokenBucket{}})
	b := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: 2 * time.Hour, Strategy: TokenBucket{}})
	a.Allow("k")
	clock.advance(time.Hour)
	got := 0
	for range 10 {
		if b.Allow("k") {
			got++
		}
		if a.Allow("k") {
			got++
		}
	}
	if got > 10 {
		t.Errorf("%d granted", got)
	}
}

// A key that moved to values which are then retired begins anew where it was.
func TestMemoryMovedKeyOfTheLastTable(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{})
	a := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: TokenBucket{}})
	b := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: 2 * time.Hour, Strategy: TokenBucket{}})
	a.Allow("k")
	b.Allow("k")
	a.Allow("k")
	clock.advance(3 * time.Hour)
	m.mu.Lock()
	m.retire(m.families["x"], m.now())
	m.mu.Unlock()
	if n := m.Stats().Tables; n != 1 {
		t.Fatal(n, "tables")
	}
	within(t, "a take of a moved key", func() { b.Allow("k") })
}

// Values that no live key is counted under any more are retired by the calls, however large their table was.
func TestMemoryRetiresOldValues(t *testing.T) {
	for _, keys := range []int{1, 20, 3000, 20000} {
		m, clock := newTestMemory(t, MemoryOptions{MaxKeys: 10000}) // the most of them are evicted
		a := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: TokenBucket{}})
		b := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: 2 * time.Hour, Strategy: TokenBucket{}})
		for k := range keys {
			a.Allow(fmt.Sprint(k))
		}
		b.Allow("k")
		clock.advance(3 * time.Hour)
		for range 2000 {
			b.Allow("k")
			clock.advance(2 * time.Millisecond)
		}
		if n := m.Stats().Tables; n != 1 {
			t.Errorf("%d keys: %d tables, %+v", keys, n, m.Stats())
		}
	}
}

// A key that was evicted under several values begins from the most that is remembered, not from what is found first.
func TestMemorySketchesOfAFamily(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{MaxKeys: 200})
	a := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: TokenBucket{}})
	b := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: 2 * time.Hour, Strategy: TokenBucket{}})
	for k := range 2000 {
		a.Allow(fmt.Sprint("flood a", k))
	}
	bad := 0
	for k := range 300 {
		key := fmt.Sprint("user", k)
		got := int64(0)
		for range 3 {
			d, _ := b.TakeUpTo(context.Background(), key, 10)
			got += d.Granted
			tb, err := m.table(b.Limits()[0])
			if err != nil {
				t.Fatal(err)
			}
			// All of the segment's keys are evicted.
			s := tb.dir.Load().segment(m.seed.hash(key))
			s.mu.Lock()
			live := tb.freeze(s, m.now(), nil)
			live = tb.evict(live, 0, m.now())
			tb.compact(s, m.seed.hash(key), live, s.lines)
			s.mu.Unlock()
		}
		if got > 10 {
			bad++
		}
	}
	if bad > 0 {
		t.Errorf("%d keys were granted too much", bad)
	}
}

// A key that cannot move, since there is no room under the new values, stays what it was.
func TestMemoryFullTableFreesNoKey(t *testing.T) {
	ctx := context.Background()
	m, _ := newTestMemory(t, MemoryOptions{MaxKeys: 300, AtBound: Refuse})
	a := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: TokenBucket{}})
	b := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: 2 * time.Hour, Strategy: TokenBucket{}})
	for k := range 250 {
		a.AllowN(fmt.Sprint(k), 10)
	}
	for k := range 1000 {
		b.AllowN(fmt.Sprint("b", k), 10)
	}
	full := 0
	for k := range 250 {
		if _, err := b.Take(ctx, fmt.Sprint(k), 0); err != nil {
			t.Fatal(err)
		}
		if err := b.Charge(ctx, fmt.Sprint(k), 1); errors.Is(err, ErrFull) {
			full++
			if a.Allow(fmt.Sprint(k)) {
				t.Fatalf("key %d was freed", k)
			}
		}
	}
	if full == 0 {
		t.Fatal("nothing was full")
	}
}

// Values are not retired while a key of the family is being moved.
func TestMemoryRetiresNothingDuringAMove(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	a := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: TokenBucket{}})
	b := newTestLimiter(t, m, Limit{ID: "x", Units: 20, Per: time.Hour, Strategy: TokenBucket{}})
	a.Peek(context.Background(), "k", 1)
	b.Allow("k")
	f := m.families["x"]
	retire := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.retire(f, m.now())
		return len(m.allTables())
	}
	f.stripes[3].Lock()
	if n := retire(); n != 2 {
		t.Errorf("%d tables during a move, want 2", n)
	}
	f.stripes[3].Unlock()
	if n := retire(); n != 1 {
		t.Errorf("%d tables after it, want 1", n)
	}
	if !a.Allow("k") {
		t.Error("refused under values that were retired")
	}
}

// A window of the wall's time is not forgotten by a store whose own clock is ahead of the wall.
func TestMemoryForgetsByTheRightClock(t *testing.T) {
	ctx := context.Background()
	m, clock := newTestMemory(t, MemoryOptions{})
	clock.Store(1_700_000_000_000_000 / 3600e6 * 3600e6) // on the hour
	window := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: FixedWindow{}})
	if !window.AllowN("k", 10) {
		t.Fatal("refused")
	}
	if err := window.Block(ctx, "blocked", time.Hour/2); err != nil {
		t.Fatal(err)
	}
	clock.advance(2 * time.Hour)
	m.skew.Store(-int64(119 * time.Minute / Tick)) // the wall went back: a minute has passed there
	for range 5000 {
		clock.advance(2 * time.Millisecond)
		window.Allow("other")
	}
	m.Compact()
	if window.Allow("k") || window.Allow("blocked") {
		t.Error("granted in the same window of the wall")
	}
	log := newTestLimiter(t, m, Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: TokenBucket{}})
	if log.Allow("k") {
		t.Error("granted after a change of the strategy")
	}
}

// within fails the test if f goes on forever.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s hangs", what)
	}
}

// Limits with ever new IDs do not add up.
func TestMemoryForgetsLimitsWithoutKeys(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m)
	ids := 4 * manyTables
	for i := range ids {
		limit := mustCompile(t, PerSecond(1).WithID(fmt.Sprint("limit ", i)))
		if d, err := l.TakeAll(t.Context(), []Claim{NewClaim(limit, "k", 1)}, nil); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
		clock.advance(5 * time.Millisecond)
	}
	for range 4 * ids {
		clock.advance(2 * time.Millisecond)
		if _, err := l.TakeAll(t.Context(), []Claim{NewClaim(mustCompile(t, PerHour(9)), "k", 1)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if s := m.Stats(); s.Tables > manyTables+1 || len(m.families) > manyTables+1 {
		t.Errorf("%d tables of %d limits after %d IDs, want %d at most", s.Tables, len(m.families), ids, manyTables+1)
	}
}
