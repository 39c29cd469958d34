package stint

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// waiting starts a Wait and returns where its end will be told.
func waiting(ctx context.Context, l *Limiter, key string, n int64) chan error {
	done := make(chan error, 1)
	go func() { done <- l.WaitN(ctx, key, n) }()
	synctest.Wait()
	return done
}

func ended(t *testing.T, done chan error) (error, bool) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		return err, true
	default:
		return nil, false
	}
}

func wantEnded(t *testing.T, done chan error, want error) {
	t.Helper()
	if err, over := ended(t, done); !over || !errors.Is(err, want) {
		t.Helper()
		t.Errorf("ended %v with %v, want %v", over, err, want)
	}
}

func wantWaiting(t *testing.T, done chan error) {
	t.Helper()
	if err, over := ended(t, done); over {
		t.Errorf("ended already, with %v", err)
	}
}

func bubbleLimiter(t *testing.T, o Options, limits ...Limit) *Limiter {
	t.Helper()
	l, err := NewWith(o, limits...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// waitLimits are limits of one unit a second, one for each way to wait.
func waitLimits() map[string]Limit {
	return map[string]Limit{
		"booked":  {Units: 1, Per: time.Second, Strategy: TokenBucket{}},
		"retried": {Units: 1, Per: time.Second, Strategy: SlidingLog{}},
	}
}

func TestWaitServesInOrder(t *testing.T) {
	for name, limit := range waitLimits() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := bubbleLimiter(t, Options{}, limit)
				ctx := context.Background()
				wantEnded(t, waiting(ctx, l, "k", 1), nil)
				a, b, c := waiting(ctx, l, "k", 1), waiting(ctx, l, "k", 1), waiting(ctx, l, "k", 1)
				for i, done := range []chan error{a, b, c} {
					wantWaiting(t, done)
					time.Sleep(time.Second - time.Microsecond)
					wantWaiting(t, done)
					time.Sleep(time.Microsecond)
					wantEnded(t, done, nil)
					_ = i
				}
			})
		})
	}
}

// While some wait for a key nobody overtakes them, and other keys are not touched.
func TestWaitIsNotOvertaken(t *testing.T) {
	for name, limit := range waitLimits() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limit.Units = 2
				l := bubbleLimiter(t, Options{}, limit)
				ctx := context.Background()
				l.Allow("k")
				done := waiting(ctx, l, "k", 2)
				wantWaiting(t, done)
				if l.Allow("k") {
					t.Error("a newcomer overtook a waiter")
				}
				if d, _ := l.Take(ctx, "k", 1); d.Allowed {
					t.Errorf("a newcomer overtook a waiter: %+v", d)
				}
				all, err := l.TakeAll(ctx, []Claim{NewClaim(l.Limits()[0], "k", 1)}, make([]Decision, 1))
				if err != nil || all.Allowed {
					t.Errorf("a call with claims overtook a waiter: %+v, %v", all, err)
				}
				if !l.Allow("other") {
					t.Error("a wait for one key held up another")
				}
				time.Sleep(time.Second)
				wantEnded(t, done, nil)
			})
		})
	}
}

// A waiter that gives up costs nothing: neither the first, whose booking is undone, nor those behind.
func TestWaitCancelled(t *testing.T) {
	for name, limit := range waitLimits() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := bubbleLimiter(t, Options{}, limit)
				ctx := context.Background()
				l.Allow("k")
				first, stopFirst := context.WithCancel(ctx)
				second, stopSecond := context.WithCancel(ctx)
				a, b, c := waiting(first, l, "k", 1), waiting(second, l, "k", 1), waiting(ctx, l, "k", 1)
				stopSecond()
				wantEnded(t, b, context.Canceled)
				time.Sleep(500 * time.Millisecond)
				stopFirst()
				wantEnded(t, a, context.Canceled)
				wantWaiting(t, c)
				time.Sleep(500 * time.Millisecond)
				wantEnded(t, c, nil)
				if !l.queue.idle() {
					t.Error("the queue is not empty")
				}
			})
		})
	}
}

// A wait that cannot end in time is refused at once and takes nothing.
func TestWaitRefusesAtOnce(t *testing.T) {
	for name, limit := range waitLimits() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := bubbleLimiter(t, Options{MaxWaiters: 3}, limit)
				ctx := context.Background()
				l.Allow("k")
				soon, cancel := context.WithTimeout(ctx, 900*time.Millisecond)
				defer cancel()
				wantEnded(t, waiting(soon, l, "k", 1), ErrDeadline)
				wantEnded(t, waiting(ctx, l, "k", 2), ErrNever)
				wantEnded(t, waiting(ctx, l, "k", -1), ErrNegativeCost)
				wantEnded(t, waiting(ctx, l, "", 1), ErrEmptyKey)

				a := waiting(ctx, l, "k", 1)
				wantEnded(t, waiting(soon, l, "k", 1), ErrDeadline)
				b := waiting(ctx, l, "k", 1)
				c := waiting(ctx, l, "k", 1)
				wantEnded(t, waiting(ctx, l, "k", 1), ErrQueueFull)
				time.Sleep(3 * time.Second)
				for _, done := range []chan error{a, b, c} {
					wantEnded(t, done, nil)
				}
			})
		})
	}
}

// On a limit that refills evenly, who is behind others knows how long it will take at least.
func TestWaitKnowsWhoIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLimiter(t, Options{}, waitLimits()["booked"])
		ctx := context.Background()
		l.Allow("k")
		a, b := waiting(ctx, l, "k", 1), waiting(ctx, l, "k", 1)
		late, cancel := context.WithTimeout(ctx, 2500*time.Millisecond)
		defer cancel()
		wantEnded(t, waiting(late, l, "k", 1), ErrDeadline)
		time.Sleep(2 * time.Second)
		wantEnded(t, a, nil)
		wantEnded(t, b, nil)
	})
}

func TestWaitUnderSeveralLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLimiter(t, Options{}, PerSecond(1).WithBurst(1), PerMinute(2))
		ctx := context.Background()
		for _, pause := range []time.Duration{0, time.Second, 59 * time.Second} {
			done := waiting(ctx, l, "k", 1)
			if pause > 0 {
				time.Sleep(pause - time.Microsecond)
				wantWaiting(t, done)
				time.Sleep(time.Microsecond)
			}
			wantEnded(t, done, nil)
		}
	})
}

// A caller whose limits are taken away is told.
func TestWaitWithoutLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLimiter(t, Options{}, PerMinute(1))
		l.Allow("k")
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		done := waiting(ctx, l, "k", 1)
		l.SetLimits()
		time.Sleep(time.Minute)
		wantEnded(t, done, ErrNoLimit)
	})
}

// Who is second may be granted with the first, where it is not the bucket that the first waits for.
func TestWaitUnderSeveralLimitsKnowsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLimiter(t, Options{}, PerHour(1), Limit{ID: "b", Units: 1, Per: time.Second, Burst: 100, Strategy: TokenBucket{}})
		l.SetLimits(PerHour(2).WithStrategy(IntervalBucket{}), Limit{ID: "b", Units: 1, Per: time.Second, Burst: 100, Strategy: TokenBucket{}})
		l.AllowN("k", 2)
		first := waiting(context.Background(), l, "k", 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour+time.Second/2)
		defer cancel()
		second := waiting(ctx, l, "k", 1)
		wantWaiting(t, second)
		time.Sleep(time.Hour)
		wantEnded(t, first, nil)
		wantEnded(t, second, nil)
	})
}

// Pacing spaces a call by the cost of the one before it, not by its own.
func TestWaitPacedByTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLimiter(t, Options{}, Limit{Units: 1, Per: time.Second, Burst: 10, Strategy: Pacing{}})
		l.AllowN("k", 5)
		first := waiting(context.Background(), l, "k", 1)
		ctx, cancel := context.WithTimeout(context.Background(), 7*time.Second)
		defer cancel()
		second := waiting(ctx, l, "k", 10)
		wantWaiting(t, second)
		time.Sleep(5 * time.Second)
		wantEnded(t, first, nil)
		time.Sleep(time.Second)
		wantEnded(t, second, nil)
	})
}
