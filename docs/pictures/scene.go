package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
)

// start is the instant at which every scene begins, in ticks: early in 2027, where windows of 10 s begin, too.
const start int64 = 1_800_000_000_000_000

// stage is a limiter under one limit, and the clock that it lives by.
type stage struct {
	limit   stint.Limit
	limiter *stint.Limiter
	store   *stint.Memory
	now     atomic.Int64
}

func newStage(text string) (*stage, error) {
	s := &stage{}
	s.now.Store(start)
	var err error
	if s.limit, err = stint.ParseLimit(text); err != nil {
		return nil, err
	}
	if s.store, err = stint.NewMemory(stint.MemoryOptions{Clock: s.now.Load}); err != nil {
		return nil, err
	}
	s.limiter, err = stint.NewWith(stint.Options{Store: s.store}, s.limit)
	return s, err
}

// at turns the clock to so long after the start.
func (s *stage) at(t time.Duration) { s.now.Store(start + int64(t/stint.Tick)) }

// take asks for one unit.
func (s *stage) take() (stint.Decision, error) {
	return s.limiter.Take(context.Background(), "caller", 1)
}

// peek looks what is left.
func (s *stage) peek() (stint.Decision, error) {
	return s.limiter.Peek(context.Background(), "caller", 1)
}

// The scene of the timelines: one caller, who looks in once, comes in bursts across the edges of windows, then steadily, then in
// a burst.
const (
	length = 40 * time.Second
	window = 10 * time.Second
	units  = 5
)

func calls() []time.Duration {
	var at []time.Duration
	series := func(first, gap time.Duration, n int) {
		for i := range n {
			at = append(at, first+time.Duration(i)*gap)
		}
	}
	series(time.Second, 0, 1)
	series(8*time.Second, 450*time.Millisecond, 5)
	series(11200*time.Millisecond, 450*time.Millisecond, 5)
	series(17*time.Second, 2*time.Second, 6)
	series(34*time.Second, 450*time.Millisecond, 7)
	return at
}

// trace is what came of a scene.
type trace struct {
	limit  stint.Limit
	calls  []outcome
	levels []level
}

type outcome struct {
	at       time.Duration
	admitted bool
}

// level is what was left from an instant on.
type level struct {
	at   time.Duration
	left int64
}

// play plays the scene under a strategy.
func play(strategy string) (*trace, error) {
	s, err := newStage(fmt.Sprintf("%d/%v %s", units, window, strategy))
	if err != nil {
		return nil, err
	}
	defer s.store.Close()
	tr := &trace{limit: s.limit}
	next := calls()
	for t := time.Duration(0); t < length; t += 50 * time.Millisecond {
		s.at(t)
		for len(next) > 0 && next[0] == t {
			d, err := s.take()
			if err != nil {
				return nil, err
			}
			tr.calls = append(tr.calls, outcome{t, d.Allowed})
			next = next[1:]
		}
		d, err := s.peek()
		if err != nil {
			return nil, err
		}
		if n := len(tr.levels); n == 0 || tr.levels[n-1].left != d.Remaining {
			tr.levels = append(tr.levels, level{t, d.Remaining})
		}
	}
	if len(next) > 0 {
		return nil, fmt.Errorf("%d calls were not made", len(next))
	}
	return tr, nil
}

// worst is the first span of the window's length in which most was admitted, and how much.
func (tr *trace) worst() (from time.Duration, most int) {
	for _, first := range tr.calls {
		n := 0
		for _, c := range tr.calls {
			if c.admitted && c.at >= first.at && c.at < first.at+window {
				n++
			}
		}
		if n > most {
			from, most = first.at, n
		}
	}
	return from, most
}
