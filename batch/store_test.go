package batch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
)

func memory(t testing.TB) *stint.Memory {
	m, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compiled(t testing.TB, l stint.Limit) *stint.Limit {
	c, err := l.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Shards: -1}, {MaxBatch: -1}, {MaxQueue: -1}, {Timeout: -1}} {
		if _, err := New(memory(t), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := New(nil, Options{}); !errors.Is(err, ErrNoStore) {
		t.Errorf("no store: %v", err)
	}
	s, err := New(memory(t), Options{})
	if err != nil || s.options != (Options{defaultShards, defaultMaxBatch, defaultMaxQueue, defaultTimeout}) {
		t.Errorf("the defaults are %+v, %v", s.options, err)
	}
}

// A lone caller takes no goroutine and no memory of its own.
func TestLoneCaller(t *testing.T) {
	s, err := New(memory(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	limit, ctx := compiled(t, stint.PerHour(1_000_000).WithBurst(1_000_000)), context.Background()
	ask := func() {
		if _, _, err := s.One(ctx, limit, "k", stint.TakeOp(1)); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	if n := testing.AllocsPerRun(1000, ask); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
	if st := s.Stats(); st.Direct != 1002 || st.Merged != 0 || s.shards[0].runner != nil {
		t.Errorf("%+v", st)
	}
}

// A caller whose context has ended already charges nothing.
func TestEndedContext(t *testing.T) {
	s, err := New(memory(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	limit := compiled(t, stint.PerHour(10))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := s.One(ctx, limit, "k", stint.TakeOp(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if a, _, err := s.One(context.Background(), limit, "k", stint.LookOp(1)); err != nil || a.Remaining != 10 {
		t.Errorf("%d of 10 remain, %v", a.Remaining, err)
	}
}

func TestClosed(t *testing.T) {
	s, err := New(memory(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	limit, ctx := compiled(t, stint.PerHour(10)), context.Background()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	claims, into := []stint.Claim{stint.NewClaim(limit, "k", 1)}, make([]stint.Outcome, 1)
	_, _, one := s.One(ctx, limit, "k", stint.TakeOp(1))
	_, _, refund := s.Refund(ctx, limit, "k", stint.RefundOp(1, 1), 1)
	for i, err := range []error{one, refund, s.All(ctx, claims, into), s.Many(ctx, claims, into), s.Block(ctx, limit, "k", 0)} {
		if !errors.Is(err, stint.ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// Whoever leaves is taken out of the line wherever it stands, and the others keep their order.
func TestLine(t *testing.T) {
	for gone := range 4 {
		var l line
		var all [4]waiter
		for i := range all {
			l.push(&all[i])
		}
		l.remove(&all[gone])
		for i := range all {
			if i == gone {
				continue
			}
			if w := l.pop(); w != &all[i] {
				t.Errorf("without the waiter %d the order is lost at %d", gone, i)
			}
		}
		if l.len != 0 || l.first != nil || l.last != nil {
			t.Errorf("%+v is left", l)
		}
	}
}

// slow is a store whose calls take a millisecond.
type slow struct{ stint.Store }

func (s slow) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	time.Sleep(time.Millisecond)
	return s.Store.One(ctx, l, key, op)
}

func (s slow) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	time.Sleep(time.Millisecond)
	return s.Store.Many(ctx, claims, into)
}

// Callers who ask for one decision after the other are in one call, again and again.
func TestCallersThatReturn(t *testing.T) {
	for _, callers := range []int{2, 16} {
		synctest.Test(t, func(t *testing.T) {
			s, err := New(slow{memory(t)}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			limit := compiled(t, stint.PerHour(1_000_000).WithBurst(1_000_000))
			const each = 200
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range each {
						if _, _, err := s.One(t.Context(), limit, "k", stint.TakeOp(1)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if st := s.Stats(); st.Direct+st.Merged != int64(callers*each) || st.Batches > each*3/2 {
				t.Errorf("%d callers: %+v", callers, st)
			}
			s.Close()
		})
	}
}

// Nobody waits for callers who do not come back, but for one try in 16.
func TestStrangers(t *testing.T) {
	sh := &shard{}
	r := &runner{shard: sh, waiters: make([]*waiter, 4)}
	r.awaitReturn(0)
	for left := 15; left >= 0; left-- {
		if r.strangers != left {
			t.Fatalf("%d calls wait for nobody, not %d", r.strangers, left)
		}
		r.awaitReturn(time.Hour)
	}
	r.strangers, sh.came = 0, 2
	if r.awaitReturn(0); r.strangers != 0 {
		t.Error("half of the callers are back and are taken for strangers")
	}
}
