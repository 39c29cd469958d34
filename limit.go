package stint

import (
	"fmt"
	"hash/fnv"
	"time"
	"unsafe"
)

// A Limit is so many units per span of time for each key. Make one with [PerSecond] … [PerDay], [Every] or [ParseLimit], or
// fill in the fields. A Limit is a plain value: copy and change it freely.
//
// A limit that names a burst is a token bucket; one that does not is a sliding window, never more than Units in any span of
// Per, which is how everybody reads "100 per hour". Every other strategy is asked for by name.
type Limit struct {
	// ID is the limit's identity: counts belong to it, and two limits with one ID share them. Default: the limit's text.
	// Keep the ID when you change the other fields, and the keys' counts are carried over.
	ID string

	// Units per Per. 0 denies all; it never means unlimited, see [Unlimited].
	Units int64

	// Per is the span of time, from a tick (1 µs) up; the token bucket and pacing take any length over 0.
	Per time.Duration

	// Burst is the whole capacity, not something extra. 0 means Units.
	Burst int64

	// Strategy says how the limit counts. Default: [TokenBucket] if Burst is set, else [SlidingLog].
	Strategy Strategy

	// OnChange says what a key keeps when the values of a limit change under it. Default: the share it has used.
	OnChange Carry

	compiled
}

// compiled is what Compile works out once. It never changes afterwards.
type compiled struct {
	ready    bool
	builtin  bool
	wall     bool  // the windows are aligned to the wall clock
	ordered  bool  // a larger State.A is never more permissive
	wide     bool  // token bucket and pacing: beyond the range of one word
	narrow   bool  // a token bucket in one word
	words    int   // Strategy.Words
	ticks    int64 // Per in ticks, 0 when it is not a whole number of them
	capacity int64 // the most that a new key can be granted at once
	lasting  int64 // horizon, of a strategy of our own
	variant  uint64
	home     unsafe.Pointer // *table: where a memory store keeps the limit's keys; atomic

	// Token bucket and pacing: the rate is p/q units a tick, reduced. A State counts in parts of 1/p tick, of which a unit is
	// worth q and a whole bucket full.
	p, q, full int64
	byP, byQ   divisor

	// Strategies that count in periods.
	byTicks divisor // divides by ticks
	byUnits divisor // divides by Units
	most    int64   // the most units that a key can owe
	grain   int64   // sliding log: takes within so many ticks count as one
	byGrain divisor
	radix   int64 // sliding counter: a word holds two counts below it
	byRadix divisor
}

// Carry is what a key keeps when its limit's values or strategy change.
type Carry uint8

// The ways to carry over.
const (
	CarryShare   Carry = iota // the used share of the capacity, rounded up: full stays full, empty stays empty
	CarryUnits                // the units that are left, at most the new capacity ("as is")
	CarryAdded                // the units that are left and what the capacity grew by ("additive")
	CarryNothing              // nothing: every key is new
)

// PerSecond is n units in any second.
func PerSecond(n int64) Limit { return Limit{Units: n, Per: time.Second} }

// PerMinute is n units in any minute.
func PerMinute(n int64) Limit { return Limit{Units: n, Per: time.Minute} }

// PerHour is n units in any hour.
func PerHour(n int64) Limit { return Limit{Units: n, Per: time.Hour} }

// PerDay is n units in any 24 hours. For days by the calendar see [CalendarWindow].
func PerDay(n int64) Limit { return Limit{Units: n, Per: 24 * time.Hour} }

// Every is one unit in any span d.
func Every(d time.Duration) Limit { return Limit{Units: 1, Per: d} }

// WithBurst is the limit as a token bucket that holds n units.
func (l Limit) WithBurst(n int64) Limit { l.Burst = n; return l }

// WithStrategy is the limit counted by s.
func (l Limit) WithStrategy(s Strategy) Limit { l.Strategy = s; return l }

// WithID is the limit under an identity of its own.
func (l Limit) WithID(id string) Limit { l.ID = id; return l }

// Compile checks the limit and returns a copy that is ready for a store, with every default filled in. [New] does it for
// you; stores, strategies and their tests call it themselves. The error is a [*LimitError].
func (l Limit) Compile() (*Limit, error) {
	l.compiled = compiled{}
	if l.Strategy == nil {
		l.Strategy = defaultStrategy(l.Burst)
	}
	if err := l.validate(); err != nil {
		return nil, err
	}
	if l.ID == "" {
		l.ID = l.String()
	}
	l.capacity = l.Units
	if l.Burst != 0 {
		l.capacity = l.Burst
	}
	if l.Per%Tick == 0 {
		l.ticks = int64(l.Per / Tick)
	}
	if b, ok := builtinStrategy(l.Strategy); ok {
		t := b.builtin()
		l.builtin, l.wall, l.ordered = true, t.wall, t.ordered
	}
	if err := l.Strategy.Compile(&l); err != nil {
		return nil, err
	}
	l.words = l.Strategy.Words(&l)
	if l.words < 1 {
		return nil, l.errorf("strategy %s asks for %d words of state; one is the least", l.Strategy.Name(), l.words)
	}
	l.narrow = l.Strategy == TokenBucket{} && !l.wide
	if l.builtin {
		l.lasting = l.horizon()
	}
	l.variant = l.fingerprint()
	l.ready = true
	return &l, nil
}

// defaultStrategy is the one of a limit that names none.
func defaultStrategy(burst int64) Strategy {
	if burst != 0 {
		return TokenBucket{}
	}
	return SlidingLog{}
}

// builtinStrategy is a strategy of our own. A type of a user's that embeds one of them is not.
func builtinStrategy(s Strategy) (interface{ builtin() traits }, bool) {
	switch s.(type) {
	case TokenBucket, IntervalBucket, FixedWindow, CalendarWindow, SlidingLog, SlidingCounter, Concurrency, Pacing, unlimited:
		b, ok := s.(interface{ builtin() traits })
		return b, ok
	}
	return nil, false
}

// traits are what the core knows of its own strategies.
type traits struct{ wall, ordered bool }

// horizon is how long anything that is granted to a key can matter, in ticks.
func (l *Limit) horizon() int64 {
	if l.lasting > 0 {
		return l.lasting
	}
	longest := max(l.ticks, 1)
	if l.words <= 3 {
		_, a := l.Strategy.Apply(State{}, l, 0, ChargeOp(l.capacity))
		longest = max(longest, a.Reset)
	}
	if _, ok := l.Strategy.(CalendarWindow); ok {
		longest += int64(4 * 24 * time.Hour / Tick) // Per is the shortest window: 28 days of 31, or a day that is not of 25 hours
	}
	return min(longest, maxFill)
}

// Ticks is Per in ticks; 0 if it is not a whole number of them.
func (l *Limit) Ticks() int64 { return l.ticks }

// Capacity is the most that a new key can be granted at once.
func (l *Limit) Capacity() int64 { return l.capacity }

func (l *Limit) validate() error {
	switch {
	case l.Units < 0:
		return l.errorf("%d units: a limit cannot be negative (0 denies all)", l.Units)
	case l.Burst < 0:
		return l.errorf("burst %d: must be 1 or more, or 0 for the limit's units", l.Burst)
	case l.Per <= 0:
		return l.errorf("period %v: must be more than 0", l.Per)
	case l.OnChange > CarryNothing:
		return l.errorf("unknown way %d to carry counts over", l.OnChange)
	case len(l.ID) > maxID:
		return l.errorf("id of %d bytes: at most %d", len(l.ID), maxID)
	}
	return nil
}

// maxID bounds what a limit's identity adds to every key.
const maxID = 1024

// errorf is a LimitError about this limit.
func (l *Limit) errorf(format string, args ...any) error {
	return &LimitError{ID: l.ID, Reason: fmt.Sprintf(format, args...)}
}

// wholeTicks is the check of every strategy whose spans are whole ticks.
func (l *Limit) wholeTicks() error {
	if l.ticks == 0 {
		return l.errorf("period %v: strategy %s needs a whole number of microseconds", l.Per, l.Strategy.Name())
	}
	return nil
}

// noBurst is the check of every strategy whose capacity is its units.
func (l *Limit) noBurst() error {
	if l.Burst != 0 && l.Burst != l.Units {
		return l.errorf("burst %d: strategy %s has none; use token-bucket or interval-bucket", l.Burst, l.Strategy.Name())
	}
	return nil
}

// fingerprint tells apart the values of limits that share an ID. It is the same in every process.
func (l *Limit) fingerprint() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%d/%d/%s", l.Units, l.Per, l.capacity, l.Strategy.Name())
	return h.Sum64()
}

// books says whether the limit's strategy can book units ahead of now.
func (l *Limit) books() bool {
	switch l.Strategy.(type) {
	case TokenBucket, Pacing:
		return true
	}
	return false
}
