package fault_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/limittest/fault"
)

// Without faults the store is its inner one.
func TestPassesOn(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{Strategies: []stint.Strategy{stint.TokenBucket{}}}, func(t testing.TB, clock *limittest.Clock) stint.Store {
		m, err := stint.NewMemory(stint.MemoryOptions{Clock: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		return fault.New(m)
	})
}

func TestFaults(t *testing.T) {
	errLost := errors.New("lost")
	for _, c := range []struct {
		name    string
		fault   fault.Fault
		err     error
		panics  bool
		granted bool // took effect
		after   time.Duration
	}{
		{name: "none", granted: true},
		{name: "delay", fault: fault.Fault{Delay: time.Millisecond}, granted: true, after: time.Millisecond},
		{name: "too long a delay", fault: fault.Fault{Delay: time.Hour}, err: context.DeadlineExceeded, after: time.Second},
		{name: "gate", err: context.DeadlineExceeded, after: time.Second},
		{name: "late", err: context.DeadlineExceeded, granted: true, after: time.Second},
		{name: "panic", fault: fault.Fault{Panic: "out of order"}, panics: true},
		{name: "hang", fault: fault.Fault{Hang: true}, err: context.DeadlineExceeded, after: time.Second},
		{name: "error", fault: fault.Fault{Error: errLost}, err: errLost},
		{name: "error after", fault: fault.Fault{After: errLost}, err: errLost, granted: true},
		{name: "lost", fault: fault.Fault{Lost: true}, err: context.DeadlineExceeded, granted: true, after: time.Second},
		{name: "mute", fault: fault.Fault{Mute: true}},
		{name: "garbled", fault: fault.Fault{Garble: func(o []stint.Outcome) { o[0].Err = errLost }}, err: errLost, granted: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testFault(t, c.fault, c.err, c.panics, c.granted, c.after) })
		})
	}
}

func testFault(t *testing.T, f fault.Fault, want error, panics, granted bool, after time.Duration) {
	memory, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	limit, err := stint.PerDay(10).Compile()
	if err != nil {
		t.Fatal(err)
	}
	store := fault.New(memory)
	switch never := make(chan struct{}); { // here, since a channel from outside does not count as waited for
	case strings.HasSuffix(t.Name(), "/gate"):
		f.Gate = never
	case strings.HasSuffix(t.Name(), "/late"):
		f.Late = never
	}
	store.Next(f)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	func() {
		defer func() {
			if p := recover(); (p != nil) != panics {
				t.Errorf("panics with %v", p)
			}
		}()
		if _, _, err := store.One(ctx, limit, "k", stint.TakeOp(1)); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}()
	if took := time.Since(begun); took != after {
		t.Errorf("took %v, want %v", took, after)
	}
	a, _, err := store.One(t.Context(), limit, "k", stint.LookOp(1))
	if err != nil || (a.Remaining == 9) != granted {
		t.Errorf("%d of 10 remain (%v), want the call to take effect: %v", a.Remaining, err, granted)
	}
	if calls := store.Calls(); len(calls) != 2 || calls[0].Claims[0].Op != stint.TakeOp(1) || calls[0].Deadline.IsZero() || store.Most() != 1 {
		t.Errorf("calls %+v, %d at once", calls, store.Most())
	}
}
