package failover

import (
	"context"
	"errors"
	"testing"
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
	for _, o := range []Options{
		{Timeout: -1}, {Instances: -1}, {Grace: -1}, {Failures: -1}, {Retry: -1}, {Probes: -1}, {MaxKeys: -1}, {Default: 3},
		{Default: Local}, {Choices: map[string]Choice{"a": Local}}, {Choices: map[string]Choice{"a": 3}},
	} {
		if _, err := New(memory(t), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	open := func(context.Context) (stint.Store, error) { return memory(t), nil }
	if _, err := New(nil, Options{}); !errors.Is(err, ErrNoStore) {
		t.Errorf("no store: %v", err)
	}
	if _, err := New(memory(t), Options{Open: open}); !errors.Is(err, ErrNoStore) {
		t.Errorf("two stores: %v", err)
	}
	s, err := New(memory(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetChoices(map[string]Choice{"a": Local}); err == nil {
		t.Error("a share of unknown size is accepted")
	}
	if err := s.SetChoices(map[string]Choice{"a": Open}); err != nil {
		t.Error(err)
	}
}

func TestChoiceText(t *testing.T) {
	for c, want := range map[Choice]string{Closed: "closed", Open: "open", Local: "local", 3: "unknown"} {
		if got := c.String(); got != want {
			t.Errorf("choice %d is %q, want %q", c, got, want)
		}
	}
}

// An error that a healthy store gives is no failure of it.
func TestVerdicts(t *testing.T) {
	for err, want := range map[error]bool{
		nil: true, stint.ErrReceiptUsed: true, stint.ErrFull: true, &stint.LimitError{}: true,
		stint.ErrClosed: false, stint.ErrClock: false, context.DeadlineExceeded: false, errors.New("EOF"): false,
	} {
		if answered(err) != want {
			t.Errorf("%v is an answer: %v", err, !want)
		}
	}
}

// Shares never add up to a larger rate than the limit's, nor to a larger capacity unless that is less than the instances.
func TestShares(t *testing.T) {
	const k = 4
	for _, c := range []struct {
		limit    stint.Limit
		units    int64
		per      time.Duration
		capacity int64
	}{
		{stint.PerSecond(10).WithBurst(20), 10, 4 * time.Second, 5},
		{stint.PerSecond(10).WithBurst(3), 10, 4 * time.Second, 1},
		{stint.PerSecond(7).WithStrategy(stint.Pacing{}), 7, 4 * time.Second, 1},
		{stint.PerHour(100), 25, time.Hour, 25},
		{stint.PerHour(103), 25, time.Hour, 25},
		{stint.PerHour(3), 1, 4800 * time.Second, 1},
		{stint.Limit{Units: 3, Per: 10 * stint.Tick}, 1, 14 * stint.Tick, 1},
		{stint.PerMinute(10).WithStrategy(stint.FixedWindow{}), 2, time.Minute, 2},
		{stint.PerMinute(10).WithStrategy(stint.SlidingCounter{}), 2, time.Minute, 2},
		{stint.PerMinute(10).WithBurst(40).WithStrategy(stint.IntervalBucket{}), 2, time.Minute, 10},
		{stint.PerMinute(2).WithStrategy(stint.Concurrency{}), 1, time.Minute, 1},
		{stint.PerMinute(0), 0, time.Minute, 0},
	} {
		l := compiled(t, c.limit)
		share, err := shareOf(l, k)
		if err != nil || share.Units != c.units || share.Per != c.per || share.Capacity() != c.capacity || share.ID != l.ID {
			t.Errorf("%v: the share is %d per %v with capacity %d (%v)", l, share.Units, share.Per, share.Capacity(), err)
		}
	}
}
