package load

import (
	"context"
	"math/bits"
	"sync"
	"time"
)

// schedule says when each request is to be sent.
type schedule struct {
	units, per int64 // so many requests in so many nanoseconds
	end        time.Time
	turn       chan struct{} // one caller at a time waits for the next instant

	mu     sync.Mutex
	base   time.Time // the instants are base, base + 1/rate, base + 2/rate …
	next   int64     // which of them comes next
	left   int64
	resume time.Time // nothing is sent before
}

func newSchedule(o *Options, start time.Time) *schedule {
	s := &schedule{units: o.Rate.Units, per: int64(o.Rate.Per), base: start, left: o.Requests, turn: make(chan struct{}, 1)}
	if o.Duration > 0 {
		s.end = start.Add(o.Duration)
	}
	return s
}

// wait returns at the instant of the next request, and says which instant that is; false when the run is over.
func (s *schedule) wait(ctx context.Context) (intended time.Time, ok bool) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return time.Time{}, false
	}
	for ctx.Err() == nil {
		intended, early, ok := s.take()
		if !ok {
			return time.Time{}, false
		}
		if early <= 0 {
			return intended, true
		}
		// A refusal may put the instant off meanwhile, so it is looked up again afterwards.
		timer := time.NewTimer(early)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return time.Time{}, false
}

// take takes the next instant if it has come; else it says how early it is.
func (s *schedule) take() (intended time.Time, early time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The instant of a request has come before the next one's is asked for, so the product's quotient is within the run.
	hi, lo := bits.Mul64(uint64(s.next), uint64(s.per))
	offset, _ := bits.Div64(hi, lo, uint64(s.units))
	intended = s.base.Add(time.Duration(offset))
	if intended.Before(s.resume) {
		intended, s.base, s.next = s.resume, s.resume, 0
	}
	if s.left == 0 || (!s.end.IsZero() && !intended.Before(s.end)) {
		return time.Time{}, 0, false
	}
	early = time.Until(intended)
	if early <= 0 {
		s.next++
		s.left--
	}
	return intended, early, true
}

// pause sends nothing for so long from now on.
func (s *schedule) pause(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if resume := time.Now().Add(d); resume.After(s.resume) {
		s.resume = resume
	}
}
