package limittest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
)

// waiter is a caller who waits for units.
type waiter struct {
	cancel context.CancelFunc
	done   chan error
}

// ended says whether the wait has ended, and with what.
func (w *waiter) ended() (bool, error) {
	select {
	case err := <-w.done:
		w.done <- err // for whoever asks next
		return true, err
	default:
		return false, nil
	}
}

// replayQueue replays a trace of callers who wait, in virtual time. A replenishment is a period of an interval bucket, or a
// segment of a window.
func replayQueue(t *testing.T, v *limittest.Vector) (failed error) {
	var cfg struct {
		Cap      int64 `json:"cap"`
		Refill   int64 `json:"refill"`
		Queue    int   `json:"queue"`
		Limit    int64 `json:"limit"`
		Window   int64 `json:"window"`
		MaxQueue int   `json:"max_queue"`
		Segments int64 `json:"segments"`
	}
	if err := json.Unmarshal(v.Cfg, &cfg); err != nil {
		return err
	}
	limit := stint.Limit{Units: cfg.Refill + cfg.Limit, Burst: cfg.Cap + cfg.Limit, Per: time.Second, Strategy: stint.IntervalBucket{}}
	if cfg.Window > 0 {
		limit.Per = time.Duration(cfg.Window) * time.Millisecond
	}
	period := limit.Per
	if cfg.Segments > 0 {
		limit.Per, limit.Strategy = time.Duration(cfg.Segments)*period, segments(cfg.Segments)
	}
	synctest.Test(t, func(t *testing.T) {
		l, err := stint.NewWith(stint.Options{MaxWaiters: cfg.Queue + cfg.MaxQueue}, limit)
		if err != nil {
			t.Fatal(err)
		}
		waiters := map[int]*waiter{}
		for i := range v.Steps {
			if err := queueStep(t, l, period, waiters, &v.Steps[i]); err != nil && failed == nil {
				failed = fmt.Errorf("step %d: %w", i+1, err)
			}
		}
		for _, w := range waiters {
			w.cancel()
		}
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return failed
}

func queueStep(t *testing.T, l *stint.Limiter, period time.Duration, waiters map[int]*waiter, s *limittest.VectorStep) error {
	ctx := context.Background()
	n := int64(1)
	if s.N != nil {
		n = *s.N
	}
	switch s.Op {
	case "", "take", "acq", "avail":
		if s.Op == "avail" {
			n = 0
		}
		d, err := l.Take(ctx, "k", n)
		if err != nil {
			return err
		}
		if s.OK != nil && d.Allowed != *s.OK {
			return fmt.Errorf("allowed %v, want %v", d.Allowed, *s.OK)
		}
		if s.Rem != nil && strconv.FormatInt(d.Remaining, 10) != string(s.Rem) {
			return fmt.Errorf("%d remaining, want %s", d.Remaining, s.Rem)
		}
		return nil
	case "rep":
		time.Sleep(period)
		synctest.Wait()
	case "cancel":
		waiters[s.ID].cancel()
		synctest.Wait()
		delete(waiters, s.ID)
		return nil
	case "wait", "enqueue":
		return enqueue(l, waiters, s, n)
	default:
		return fmt.Errorf("there is no operation %s", s.Op)
	}
	for id, w := range waiters {
		ended, err := w.ended()
		switch how, told := s.Done[strconv.Itoa(id)]; {
		case told && !ended:
			return fmt.Errorf("waiter %d still waits, want %s", id, how)
		case told && (how == "ok") != (err == nil):
			return fmt.Errorf("waiter %d got %v, want %s", id, err, how)
		case !told && ended:
			return fmt.Errorf("waiter %d is done (%v), and should wait", id, err)
		}
		if ended {
			delete(waiters, id)
		}
	}
	return nil
}

// enqueue lets one more caller wait, and holds what comes of it at once to the trace.
func enqueue(l *stint.Limiter, waiters map[int]*waiter, s *limittest.VectorStep, n int64) error {
	ctx, cancel := context.WithCancel(context.Background())
	w := &waiter{cancel, make(chan error, 1)}
	go func() { w.done <- l.WaitN(ctx, "k", n) }()
	synctest.Wait()
	now := "pending"
	ended, err := w.ended()
	switch {
	case ended && err == nil:
		now = "ok"
	case ended:
		now = "fail"
	}
	want := s.Now
	if s.OK != nil { // of a queue that only says whether there was a place
		want = "pending"
		if !*s.OK {
			want = "fail"
		}
	}
	if now == "fail" && !errors.Is(err, stint.ErrQueueFull) && !errors.Is(err, stint.ErrNever) {
		return fmt.Errorf("failed with %w", err)
	}
	if ended {
		cancel()
	} else {
		waiters[s.ID] = w
	}
	if want != "" && now != want {
		return fmt.Errorf("%s, want %s", now, want)
	}
	return nil
}
