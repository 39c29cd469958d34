package limittest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// extremes are limits at the ends of what numbers can say.
var extremes = func() []stint.Limit {
	var limits []stint.Limit
	for _, units := range []int64{0, 1, 2, 2047, 2048, 2049, 1_000_000_007, 1 << 40, math.MaxInt64 - 1, math.MaxInt64} {
		for _, per := range []time.Duration{
			1, 999, stint.Tick, stint.Tick + 1, 7 * stint.Tick, time.Second, 24 * time.Hour, 100 * 365 * 24 * time.Hour, math.MaxInt64,
		} {
			for _, burst := range []int64{0, 1, 1 << 40, math.MaxInt64} {
				limits = append(limits, stint.Limit{Units: units, Per: per, Burst: burst})
			}
		}
	}
	return limits
}()

// trapKeys: no two tuples make the same key.
func trapKeys(t *testing.T, _ *shelf) {
	parts := []string{"", "a", "b", "ab", "/", "a/b", "\x00", "\x01", "\x00\x01a", "1", ":", "*"}
	seen := map[string][]string{}
	try := func(tuple ...string) {
		key := stint.Key(tuple...)
		if other, known := seen[key]; known {
			t.Fatalf("%q and %q make the same key %q", tuple, other, key)
		}
		seen[key] = tuple
	}
	for _, a := range parts {
		try(a)
		for _, b := range parts {
			try(a, b)
			for _, c := range parts {
				try(a, b, c)
			}
		}
	}
}

func trapRetryHeader(t *testing.T, _ *shelf) {
	for _, c := range []struct {
		wait    time.Duration
		seconds int64
	}{{1, 1}, {999 * time.Millisecond, 1}, {time.Second, 1}, {time.Second + 1, 2}, {59*time.Second + 1, 60}} {
		d := stint.Decision{RetryAfter: c.wait}
		if got, told := d.RetrySeconds(); !told || got != c.seconds {
			t.Errorf("a wait of %v is told as %d s, want %d", c.wait, got, c.seconds)
		}
	}
}

func trapDefault(t *testing.T, _ *shelf) {
	l, err := stint.PerHour(100).Compile()
	if err != nil {
		t.Fatal(err)
	}
	if _, slides := l.Strategy.(stint.SlidingLog); !slides {
		t.Errorf("100 per hour is counted by %s", l.Strategy.Name())
	}
}

func trapLogMemory(t *testing.T, _ *shelf) {
	for _, n := range []int64{1, 1000, 1_000_000, 1_000_000_000} {
		l, err := stint.PerHour(n).WithStrategy(stint.SlidingLog{}).Compile()
		if err != nil {
			t.Fatal(err)
		}
		if words := l.Strategy.Words(l); words > 1100 {
			t.Errorf("a log of %d units has %d cells", n, words)
		}
	}
}

func trapTexts(t *testing.T, _ *shelf) {
	for _, text := range []string{"10/month", "1/week", "10/year", "5/M", "10/mo", "10/minutes ago", "1/second:;5/minute", "5/0 minute", "1e3/s", "NaN/s", "-1/s", "1/s x"} {
		if l, err := stint.ParseLimits(text); err == nil {
			t.Errorf("%q reads as %v", text, l)
		}
	}
}

// trapFlood: a store that is full of keys still refuses those that it has refused, and lets others in.
func trapFlood(t *testing.T, s *shelf) {
	if s.Bounded == nil {
		t.Log("left out: StoreOptions.Bounded is not given")
		return
	}
	var clock *Clock
	if !s.RealClock {
		clock = new(Clock)
	}
	store := s.Bounded(t, clock, 1000)
	defer store.Close()
	for _, limit := range s.lasting(t, 10) {
		ask := func(key string, n int64) stint.Answer {
			a, _, err := store.One(context.Background(), limit, key, stint.TakeOp(n))
			switch {
			case errors.Is(err, stint.ErrFull):
				return stint.Answer{}
			case err != nil:
				t.Fatalf("%s: %v", showLimit(limit), err)
			}
			return a
		}
		empty := map[string]bool{}
		for i := range 200 {
			key := fmt.Sprint("heavy", i)
			empty[key] = ask(key, 10).Granted == 10 // not so where the store is full and turns new keys away
		}
		for i := range 1500 {
			ask(fmt.Sprint("flood", i), 1)
		}
		for key, used := range empty {
			if a := ask(key, 1); used && a.Granted != 0 {
				t.Fatalf("%s: %s has used all it may, and is granted more after a flood: %+v", showLimit(limit), key, a)
			}
		}
	}
}

// waitFor makes a caller who waits for the key, and returns what ends it and what it ended with. It has joined the queue when
// an outsider is refused.
func waitFor(t *testing.T, l *stint.Limiter, key string) (context.CancelFunc, chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.WaitN(ctx, key, 2) }()
	for {
		select {
		case err := <-done:
			t.Fatalf("a wait for two units ended at once: %v", err)
		default:
		}
		d, err := l.Take(context.Background(), key, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !d.Allowed {
			return cancel, done
		}
		if err := l.Credit(context.Background(), key, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // the caller has not run yet; nothing is measured
	}
}

// oneLeft is a limiter on a bucket of two whose key "k" has one unit left, for a very long time.
func oneLeft(t *testing.T, s *shelf) *stint.Limiter {
	store, _ := s.store(t)
	l := limiter(t, store, *s.lastingOf(t, stint.IntervalBucket{}, 2))
	take(t, l, "k", 1)
	return l
}

func trapCancelledWaiter(t *testing.T, s *shelf) {
	l := oneLeft(t, s)
	cancel, done := waitFor(t, l, "k")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled wait ended with %v", err)
	}
	if d := take(t, l, "k", 1); !d.Allowed {
		t.Fatalf("the cancelled waiter kept the unit that was left: %+v", d)
	}
}

func trapOvertaking(t *testing.T, s *shelf) {
	l := oneLeft(t, s)
	cancel, done := waitFor(t, l, "k")
	for range 10 {
		if d := take(t, l, "k", 1); d.Allowed || d.Reason != stint.Queued && d.Reason != stint.Limited {
			t.Fatalf("a newcomer overtakes the one who waits: %+v", d)
		}
	}
	cancel()
	<-done
}

func trapWaitsAlone(t *testing.T, s *shelf) {
	l := oneLeft(t, s)
	cancel, done := waitFor(t, l, "k")
	for i := range 100 {
		if d := take(t, l, fmt.Sprint("other", i), 1); !d.Allowed {
			t.Fatalf("another key is held up: %+v", d)
		}
	}
	cancel()
	<-done
}
