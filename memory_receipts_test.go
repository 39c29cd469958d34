package stint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A shard of used receipts says the same as a map that forgets nothing too early.
func TestReceiptShardAgainstAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var s receiptShard
	model := map[uint64]int64{}
	now := int64(1000)
	var nonces []uint64
	for step := range 50_000 {
		now += random.Int64N(3)
		if random.IntN(10) == 0 {
			s.forget(now)
		}
		nonce := random.Uint64()
		if len(nonces) > 0 && random.IntN(2) == 0 {
			nonce = nonces[random.IntN(len(nonces))]
		}
		place, seen := s.find(nonce, now)
		if seen != (model[nonce] > now) {
			t.Fatalf("step %d: %x is seen: %v, and is remembered until %d at %d", step, nonce, seen, model[nonce], now)
		}
		switch until := now + 1 + random.Int64N(2000); {
		case random.IntN(20) == 0:
			s.remove(nonce, now)
			delete(model, nonce)
		case seen:
		case !s.add(place, nonce, until, now):
			t.Fatalf("step %d: no room for %x", step, nonce)
		default:
			model[nonce] = until
			nonces = append(nonces, nonce)
		}
	}
	for nonce, until := range model {
		if _, seen := s.find(nonce, now); seen != (until > now) {
			t.Errorf("%x is remembered until %d at %d", nonce, until, now)
		}
	}
}

// What a shard remembers takes memory for what can still matter, under any number of receipts; at its bound it takes no more.
func TestReceiptShardIsBounded(t *testing.T) {
	var s receiptShard
	add := func(until, now int64) bool {
		nonce := rand.Uint64()
		place, _ := s.find(nonce, now)
		return s.add(place, nonce, until, now)
	}
	for i := range int64(200_000) {
		if !add(i+100, i) {
			t.Fatal("no room")
		}
	}
	if len(s.places) > 2048 {
		t.Errorf("%d places for 100 receipts that matter", len(s.places))
	}
	var kept int
	for add(1<<50, 1<<20) {
		kept++
	}
	if least := (1 << 19) / len(receipts{}); kept < least || len(s.places) != mostReceipts {
		t.Errorf("%d kept in %d places, want %d or more", kept, len(s.places), least)
	}
	if !add(1<<51, 1<<50) {
		t.Error("no room after all were too old")
	}
	for range 1000 {
		s.forget(1 << 52)
	}
	if len(s.places) != leastReceipts {
		t.Errorf("%d places after all were too old", len(s.places))
	}
}

// A receipt gives back once, whoever comes with it at the same time, and nothing after a reset.
func TestRefundOnceConcurrently(t *testing.T) {
	ctx := context.Background()
	for _, strategy := range []Strategy{Concurrency{}, SlidingLog{}, TokenBucket{}, IntervalBucket{}} {
		t.Run(strategy.Name(), func(t *testing.T) {
			m, clock := newTestMemory(t, MemoryOptions{})
			l := newTestLimiter(t, m, Limit{ID: "x", Units: 1000, Per: time.Hour, Strategy: strategy})
			var receipts []Receipt
			for i := range 300 {
				d, err := l.Take(ctx, "k", 1+int64(i%3))
				if err != nil || !d.Allowed {
					t.Fatal(d, err)
				}
				r, _ := d.Receipt()
				receipts = append(receipts, r)
				clock.advance(time.Duration(i%2) * Tick) // some of them at the same instant
			}
			var back, used atomic.Int64
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					for _, i := range rand.Perm(200) {
						n, err := l.Refund(ctx, receipts[i])
						if back.Add(n); errors.Is(err, ErrReceiptUsed) {
							used.Add(1)
						}
					}
				})
			}
			group.Wait()
			// The bucket has refilled a little of each, which leaves a fraction of a unit less.
			if n := back.Load(); n > 399 || n < 199 || n < 399 && strategy != Strategy(TokenBucket{}) || used.Load() != 600 {
				t.Errorf("%d units came back of 399, %d receipts of 600 were used already", n, used.Load())
			}
			if err := l.Reset(ctx, "k"); err != nil {
				t.Fatal(err)
			}
			if d, _ := l.Take(ctx, "k", 1000); !d.Allowed {
				t.Fatal(d)
			}
			for _, r := range receipts {
				if n, _ := l.Refund(ctx, r); n != 0 {
					t.Fatalf("a receipt from before the reset gave back %d", n)
				}
			}
		})
	}
}

// A slot taken and given back allocates nothing, and its key stays where it is though it is as good as new in between.
func TestSlotsDoNotAllocate(t *testing.T) {
	ctx := context.Background()
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, Limit{ID: "x", Units: 100, Per: time.Second, Strategy: Concurrency{}})
	keys := make([]string, 200)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	lend := func(key string) {
		d, _ := l.Take(ctx, key, 1)
		r, ok := d.Receipt()
		if n, err := l.Refund(ctx, r); !ok || n != 1 || err != nil {
			t.Fatal(d, n, err)
		}
		clock.advance(50 * Tick)
	}
	round := func() {
		for _, key := range keys {
			lend(key)
		}
	}
	for range 200 { // until as many receipts are too old as come in
		round()
	}
	if n := testing.AllocsPerRun(20, round); n != 0 && !raceDetector { // which allocates itself
		t.Errorf("%v allocations for %d slots", n, len(keys))
	}
	if s := m.Stats(); s.Keys != int64(len(keys)) {
		t.Errorf("%d keys in use, %d kept", len(keys), s.Keys)
	}
	clock.advance(time.Minute)
	for range 2000 {
		l.Allow("another")
		clock.advance(time.Millisecond)
	}
	if s := m.Stats(); s.Keys > 20 {
		t.Errorf("%d keys kept that nobody asks for any more", s.Keys)
	}
}
