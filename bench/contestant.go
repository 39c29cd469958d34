package bench

import "time"

// Contestant is a limiter under test.
type Contestant struct {
	Name string

	// Note says what must be known to judge its figures.
	Note string

	// Ours is set for Stint; all others are peers.
	Ours bool

	// Aside is set where a contestant is shown but not compared: it does something else than one exact decision a call.
	Aside bool

	// Mapped is set where the limiter itself knows no keys and stands behind a map and a mutex, which never forgets one.
	Mapped bool

	// OneKey is set where there is no sense in a map either.
	OneKey bool

	// New makes a limiter for a row.
	New func(Limit) (*Subject, error)
}

// Subject is a limiter that was made for a row.
type Subject struct {
	// NewDecider is called once for each goroutine.
	NewDecider func() Decider

	// Close ends what the limiter started; nil if it started nothing.
	Close func()
}

// Decider decides one unit of each key in turn and says how many were granted.
type Decider func(keys []string) (granted int)

// Limit is one unit every Every on average and Burst of them at once. A contestant that counts in windows grants Burst in each
// window of the length that the bucket takes to fill.
type Limit struct {
	Every time.Duration
	Burst int64
}

// Window is how long a bucket takes to fill.
func (l Limit) Window() time.Duration { return l.Every * time.Duration(l.Burst) }

// Each contestant has its loop written out, with its call in it as its users write it. One loop for all, around a function value, keeps
// the processor from beginning a call while the one before it waits for memory, which no user's loop does.

// shared is a subject whose goroutines all use the same decider.
func shared(decide Decider) *Subject {
	return &Subject{NewDecider: func() Decider { return decide }}
}

func (s *Subject) close() {
	if s.Close != nil {
		s.Close()
	}
}
