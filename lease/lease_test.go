package lease_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/lease"
)

var ctx = context.Background()

// far is a store that takes a while to answer, and counts what it is asked.
type far struct {
	stint.Store
	delay atomic.Int64 // each way
	asked atomic.Int64
	hangs atomic.Bool // it never answers
}

func (f *far) wait(ctx context.Context) error {
	f.asked.Add(1)
	if f.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(time.Duration(f.delay.Load()))
	return nil
}

func (f *far) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	if err := f.wait(ctx); err != nil {
		return stint.Answer{}, 0, err
	}
	defer time.Sleep(time.Duration(f.delay.Load()))
	return f.Store.One(ctx, l, key, op)
}

func (f *far) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	if err := f.wait(ctx); err != nil {
		return stint.Answer{}, 0, err
	}
	return f.Store.Refund(ctx, l, key, op, nonce)
}

// Close leaves the shared store open for the others.
func (f *far) Close() error { return nil }

// shared is a memory store that several processes share.
func shared(t testing.TB) *stint.Memory {
	t.Helper()
	m, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// around is a store of leases around a shared one.
func around(t testing.TB, inner stint.Store, o lease.Options) (*lease.Store, *far) {
	t.Helper()
	f := &far{Store: inner}
	s, err := lease.New(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

func compiled(t testing.TB, l stint.Limit) *stint.Limit {
	t.Helper()
	c, err := l.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// take takes n units, and says whether it got them.
func take(t testing.TB, s stint.Store, l *stint.Limit, key string, n int64) bool {
	t.Helper()
	a, _, err := s.One(ctx, l, key, stint.TakeOp(n))
	if err != nil {
		t.Fatal(err)
	}
	return a.Granted == n
}

// warm takes until the lease holds units.
func warm(t testing.TB, s *lease.Store, l *stint.Limit, key string) {
	t.Helper()
	for range 40 {
		take(t, s, l, key, 1)
		time.Sleep(time.Millisecond)
	}
	if s.Stats().Held == 0 {
		t.Fatalf("40 quick calls and no lease: %+v", s.Stats())
	}
}

func remaining(t testing.TB, s stint.Store, l *stint.Limit, key string) int64 {
	t.Helper()
	a, _, err := s.One(ctx, l, key, stint.LookOp(1))
	if err != nil {
		t.Fatal(err)
	}
	return a.Remaining
}

// daily is a window that does not end while a test lasts: a bubble begins at midnight.
func daily(t testing.TB, n int64) *stint.Limit { return compiled(t, stint.PerCalendarDay(n, nil)) }

// The calls of a hot key cost the shared store a few trips a second, and none of them waits once the lease is warm.
func TestRefilledAheadOfNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := around(t, shared(t), lease.Options{})
		f.delay.Store(int64(10 * time.Millisecond))
		l := daily(t, 1_000_000)
		waited := 0
		for i := range 20_000 {
			begun := time.Now()
			if !take(t, s, l, "k", 1) {
				t.Fatal("refused")
			}
			if time.Since(begun) > 0 && i > 2000 {
				waited++
			}
			time.Sleep(time.Millisecond)
		}
		st := s.Stats()
		if trips := f.asked.Load(); waited > 0 || trips > 150 || st.Refilled == 0 {
			t.Errorf("20,000 calls in 20 s: %d trips, %d waits: %+v", trips, waited, st)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Who waits in line is served from the lease, too.
func TestWaitFromLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := around(t, shared(t), lease.Options{})
		limit := stint.PerSecond(100).WithBurst(10_000)
		limiter, err := stint.NewWith(stint.Options{Store: s}, limit)
		if err != nil {
			t.Fatal(err)
		}
		warm(t, s, limiter.Limits()[0], "k")
		held, before := s.Stats().Held, f.asked.Load()
		for range held / 2 {
			if err := limiter.Wait(ctx, "k"); err != nil {
				t.Fatal(err)
			}
		}
		if trips := f.asked.Load() - before; trips > 3 {
			t.Errorf("%d waits with %d units held made %d trips", held/2, held, trips)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Callers that meet on a key share one trip at a time.
func TestOneTripAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := around(t, shared(t), lease.Options{})
		l := daily(t, 1_000_000)
		warm(t, s, l, "k")
		for range 8 {
			f.delay.Store(int64(5 * time.Millisecond))
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() { take(t, s, l, "k", 1) })
			}
			wg.Wait()
		}
		before := f.asked.Load()
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { take(t, s, l, "k", 1) })
		}
		wg.Wait()
		if trips := f.asked.Load() - before; trips > 3 {
			t.Errorf("200 callers at once made %d trips", trips)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Processes that share a key get all of it together, to the last unit, and not one more.
func TestLastUnitIsPlaced(t *testing.T) {
	for _, cost := range []int64{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			const units = 1000
			memory, l := shared(t), daily(t, units)
			var stores []*lease.Store
			for range 4 {
				s, f := around(t, memory, lease.Options{})
				f.delay.Store(int64(3 * time.Millisecond))
				stores = append(stores, s)
			}
			granted := int64(0)
			for range 3 * units { // for as long as leases live, and more
				for _, s := range stores {
					if take(t, s, l, "k", cost) {
						granted += cost
					}
				}
				time.Sleep(time.Millisecond)
			}
			if want := units - units%cost; granted != want {
				t.Errorf("cost %d: %d units granted, want %d", cost, granted, want)
			}
			for _, s := range stores {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// What is not spent goes back while the process lives, and leaves the shared store as if it had never been taken.
func TestIdleUnitsGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, l := shared(t), daily(t, 1000)
		s, _ := around(t, memory, lease.Options{})
		warm(t, s, l, "k")
		time.Sleep(1250 * time.Millisecond)
		if st := s.Stats(); st.Held+st.Returning != 0 || st.Returned == 0 || st.Stranded != 0 {
			t.Errorf("idle for 1.25 lives: %+v", st)
		}
		if left := remaining(t, memory, l, "k"); left != 960 {
			t.Errorf("40 units of 1000 spent, %d left", left)
		}
		time.Sleep(2 * time.Second)
		if st := s.Stats(); st.Leases != 0 {
			t.Errorf("long idle: %+v", st)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Close gives back what is held.
func TestCloseGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, l := shared(t), daily(t, 1000)
		s, _ := around(t, memory, lease.Options{})
		for i := range 20 {
			warm(t, s, l, fmt.Sprint("k", i))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for i := range 20 {
			if left := remaining(t, memory, l, fmt.Sprint("k", i)); left != 960 {
				t.Errorf("40 units of 1000 spent, %d left", left)
			}
		}
		if _, _, err := s.One(ctx, l, "k", stint.TakeOp(1)); !errors.Is(err, stint.ErrClosed) {
			t.Errorf("a closed store answers %v", err)
		}
	})
}

// A shared store that hangs does not hold up Close for longer than it is allowed.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := daily(t, 1000)
		s, f := around(t, shared(t), lease.Options{CloseWithin: 300 * time.Millisecond})
		for i := range 40 {
			warm(t, s, l, fmt.Sprint("k", i))
		}
		f.hangs.Store(true)
		begun := time.Now()
		if err := s.Close(); err != nil && !errors.Is(err, lease.ErrCloseLate) {
			t.Error(err)
		}
		if took := time.Since(begun); took > 300*time.Millisecond {
			t.Errorf("close took %v", took)
		}
		if st := s.Stats(); st.Stranded == 0 || st.Held != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A block and a reset through the store act at once; one through another process within the life of a lease.
func TestBlockAndReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, l := shared(t), daily(t, 1000)
		s, _ := around(t, memory, lease.Options{})
		other, _ := around(t, memory, lease.Options{})
		warm(t, s, l, "k")
		if err := s.Block(ctx, l, "k", time.Hour); err != nil {
			t.Fatal(err)
		}
		if take(t, s, l, "k", 1) {
			t.Error("blocked here, and granted")
		}
		if err := s.Block(ctx, l, "k", 0); err != nil {
			t.Fatal(err)
		}
		warm(t, s, l, "k")
		if err := other.Block(ctx, l, "k", time.Hour); err != nil {
			t.Fatal(err)
		}
		blocked := time.Now()
		for time.Since(blocked) < 3*time.Second {
			if granted := take(t, s, l, "k", 1); granted && time.Since(blocked) > time.Second {
				t.Fatalf("blocked elsewhere, and granted after %v", time.Since(blocked))
			}
			time.Sleep(time.Millisecond)
		}
		warm(t, s, l, "j")
		if _, _, err := s.One(ctx, l, "j", stint.ResetOp()); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.Held != 0 {
			t.Errorf("after a reset: %+v", st)
		}
		time.Sleep(time.Second) // what goes back from before the reset is worth nothing
		if left := remaining(t, memory, l, "j"); left != 1000 {
			t.Errorf("after a reset %d units are left", left)
		}
		for _, s := range []*lease.Store{s, other} {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// After a reset through another process a lease grants at most the block that it held; what is left of it gives nothing when it goes back.
func TestResetElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, l := shared(t), daily(t, 1000)
		s, _ := around(t, memory, lease.Options{MaxBlock: 32})
		other, _ := around(t, memory, lease.Options{MaxBlock: 32})
		warm(t, s, l, "k")
		held := s.Stats().Held
		if held == 0 {
			t.Fatal("nothing is held: this shows nothing")
		}
		if _, _, err := other.One(ctx, l, "k", stint.ResetOp()); err != nil {
			t.Fatal(err)
		}
		granted := int64(0)
		for _, from := range []*lease.Store{other, s} {
			for take(t, from, l, "k", 1) {
				granted++
			}
		}
		if granted < 1000 || granted > 1000+held {
			t.Errorf("%d granted after a reset elsewhere, while %d of 1000 were held", granted, held)
		}

		warm(t, s, l, "j") // and now the lease is not spent
		if _, _, err := other.One(ctx, l, "j", stint.ResetOp()); err != nil {
			t.Fatal(err)
		}
		if !take(t, other, l, "j", 100) {
			t.Fatal("refused after a reset")
		}
		time.Sleep(2 * time.Second)
		if left := remaining(t, memory, l, "j"); left != 900 {
			t.Errorf("%d left of 1000 after 100, when what was held before the reset went back", left)
		}
		for _, s := range []*lease.Store{s, other} {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A block while a trip is under way is not passed by what the trip brings.
func TestBlockMeetsTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, l := shared(t), daily(t, 1000)
		s, f := around(t, memory, lease.Options{MaxBlock: 8})
		warm(t, s, l, "k")
		f.delay.Store(int64(50 * time.Millisecond))
		for s.Stats().Refilled == 0 || s.Stats().Held > 0 {
			go s.One(ctx, l, "k", stint.TakeOp(1))
			time.Sleep(time.Microsecond)
		}
		if err := s.Block(ctx, l, "k", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // the trip has come back
		if take(t, s, l, "k", 1) {
			t.Error("granted from what was asked before the block")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A key that comes once, a long key and a call that costs more than a block have no lease; nor has any key beyond MaxKeys.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := daily(t, 1_000_000)
		s, f := around(t, shared(t), lease.Options{MaxKeys: 3, MaxBlock: 10})
		calls := int64(0)
		call := func(key string, n int64) {
			if calls++; !take(t, s, l, key, n) {
				t.Fatalf("%d of %q refused", n, key)
			}
		}
		for i := range 1000 {
			call(fmt.Sprint("once", i), 1)
		}
		for range 20 {
			call(strings.Repeat("k", 1000), 1)
			call("dear", 11)
		}
		if st := s.Stats(); st.Leases != 0 || f.asked.Load() != calls {
			t.Errorf("%d calls, %d trips: %+v", calls, f.asked.Load(), st)
		}
		for range 30 {
			for i := range 10 {
				call(fmt.Sprint("hot", i), 1)
			}
		}
		if st := s.Stats(); st.Leases > 3 || st.AtBound == 0 || st.Held > 3*10 {
			t.Errorf("%+v", st)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A limit whose values change ends the lease: nothing more is spent of what was charged under the old ones.
func TestChangedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := around(t, shared(t), lease.Options{})
		old, changed := daily(t, 1000), daily(t, 100)
		changed = compiled(t, changed.WithID(old.ID))
		warm(t, s, old, "k")
		take(t, s, changed, "k", 1)
		if st := s.Stats(); st.Held != 0 || st.Stranded == 0 {
			t.Errorf("%+v", st)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestOptionsThatConflict(t *testing.T) {
	for _, o := range []lease.Options{
		{Life: -1}, {Life: time.Microsecond}, {Life: 2 * time.Hour}, {MaxBlock: -1}, {MaxBlock: 1 << 50}, {MaxKeys: -1}, {MaxKeys: 1 << 30},
		{CloseWithin: -1}, {Others: 7},
	} {
		if _, err := lease.New(shared(t), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := lease.New(nil, lease.Options{}); !errors.Is(err, lease.ErrNoStore) {
		t.Errorf("no store: %v", err)
	}
}

// A spend allocates nothing.
func TestSpendAllocatesNothing(t *testing.T) {
	s, _ := around(t, shared(t), lease.Options{Life: time.Hour, MaxBlock: 1 << 30})
	defer s.Close()
	l := compiled(t, stint.PerSecond(1_000_000).WithBurst(1<<40))
	for range 10_000 {
		take(t, s, l, "k", 1)
	}
	if n := testing.AllocsPerRun(1000, func() { s.One(ctx, l, "k", stint.TakeOp(1)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Only the limits that are named are leased, by so many units at most, and that can change.
func TestBlocks(t *testing.T) {
	counted := &calls{of: map[string]int64{}}
	inner, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	counted.Store = inner
	s, err := lease.New(counted, lease.Options{Blocks: map[string]int64{"leased": 50}})
	if err != nil {
		t.Fatal(err)
	}
	leased, err := stint.NewWith(stint.Options{Store: s}, stint.PerHour(1_000_000).WithBurst(1_000_000).WithID("leased"))
	if err != nil {
		t.Fatal(err)
	}
	defer leased.Close()
	log, err := stint.NewWith(stint.Options{Store: s}, stint.PerHour(1_000_000).WithID("log")) // which cannot be leased
	if err != nil {
		t.Fatal(err)
	}
	asked := func(l *stint.Limiter) int64 {
		id := l.Limits()[0].ID
		before := counted.calls(id)
		for range 10_000 {
			if !l.Allow("k") {
				t.Fatal("refused")
			}
		}
		return counted.calls(id) - before
	}
	if n := asked(leased); n < 10_000/50 || n > 2000 {
		t.Errorf("10,000 calls under a lease of 50 asked the store %d times", n)
	}
	if n := asked(log); n != 10_000 {
		t.Errorf("10,000 calls under a limit that is not leased asked the store %d times", n)
	}
	if err := s.SetBlocks(map[string]int64{"leased": 5000}); err != nil {
		t.Fatal(err)
	}
	if n := asked(leased); n > 150 {
		t.Errorf("10,000 calls under a lease of 5000 asked the store %d times", n)
	}
	if err := s.SetBlocks(nil); err != nil {
		t.Fatal(err)
	}
	if n := asked(leased); n < 4000 {
		t.Errorf("10,000 calls without a lease asked the store %d times", n)
	}
	if err := s.SetBlocks(map[string]int64{"leased": 0}); err == nil {
		t.Error("a block of nothing is taken")
	}
}

// calls counts the calls of a store under each limit: what one limit's lease still has under way in the background is not another's.
type calls struct {
	stint.Store
	mu sync.Mutex
	of map[string]int64
}

func (c *calls) calls(id string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[id]
}

func (c *calls) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	c.mu.Lock()
	c.of[l.ID]++
	c.mu.Unlock()
	return c.Store.One(ctx, l, key, op)
}
