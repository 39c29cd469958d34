package stint

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// This file is for authors of stores: what a limit and the core know that a store outside this package needs. A store keeps a
// [State] for each key of each limit, written under one set of the limit's values; it lends cells, asks the strategy, and writes
// what comes back. Package record does all of it for stores that keep records; a store with a transcription of a strategy needs
// the limit's [Numbers] besides.

// Variant tells apart the values of limits that share an ID. It is the same in every process and version.
func (l *Limit) Variant() uint64 { return l.variant }

// Words is how many words of state a key of the limit needs: State.A alone, up to three, or cells besides.
func (l *Limit) Words() int { return l.words }

// Wall says that the limit's windows are aligned to the wall clock. A store whose clock is the wall's need not ask.
func (l *Limit) Wall() bool { return l.wall }

// Horizon is how long, in ticks, anything that is granted to a key can matter: a receipt is worth nothing after it.
func (l *Limit) Horizon() int64 { return l.horizon() }

// Numbers are what a strategy counts with under a compiled limit, for those who transcribe it. Which of them say something
// depends on the strategy; its file has the arithmetic.
type Numbers struct {
	// Token bucket and pacing: the rate is P/Q units a tick, reduced. A State counts in parts of 1/P tick: a unit is Q of them, and
	// a whole bucket Full. Wide says that the state is three words; Full is 0 then.
	P, Q, Full int64

	Ticks    int64 // the period; for calendar windows see CalendarWindow.Window
	Capacity int64 // the most that a new key can be granted at once
	Most     int64 // strategies that count in windows: the most units that a key can owe
	Grain    int64 // sliding log and concurrency: takes within so many ticks count as one
	Radix    int64 // sliding counter of one word: both its counts are digits below it

	Wide bool // token bucket, pacing and sliding counter: the form of three words
}

// Numbers are the limit's.
func (l *Limit) Numbers() Numbers {
	return Numbers{
		P: l.p, Q: l.q, Full: l.full, Ticks: l.ticks, Capacity: l.capacity, Most: l.most, Grain: l.grain, Radix: l.radix, Wide: l.wide,
	}
}

// Window is the window, in ticks, that the instant lies in: from start up to, but without, end.
func (c CalendarWindow) Window(at int64) (start, end int64) { return c.window(at) }

// Lend gives the state the cells that the operation may need. A strategy without cells, and an operation that takes nothing, need
// none. The state's own cells are never written.
func (l *Limit) Lend(s State, op Op) State {
	if l.words <= 3 || op.Max <= 0 {
		return s
	}
	if s.Log == nil {
		s.Log = l.newCells()
		return s
	}
	have := len(s.Log.Pairs())
	switch {
	case have >= l.words:
		return s
	case !l.builtin:
		grown := NewCells(l.words)
		copy(grown.Pairs(), s.Log.Pairs())
		s.Log = grown
		return s
	case liveCells(s) < have:
		return s
	}
	return growCells(s, moreCells(have, l.words))
}

// Trim is the same state with those cells only that it counts, as it is best written down. A strategy of somebody else, whose
// layout nobody knows, keeps all.
func (l *Limit) Trim(s State) State {
	if s.Log == nil || !l.builtin {
		return s
	}
	if liveCells(s) == 0 {
		s.C, s.Log = 0, nil
		return s
	}
	return growCells(s, 0)
}

// CarryFrom is the state under this limit of a key that had the state s under other values of it, as OnChange says. A store
// calls it at a key's first call under new values.
func (l *Limit) CarryFrom(from *Limit, s State, now int64) State {
	return carry(from, s, now, l, now, l.newCells())
}

// Values are the limit's values as text, to be kept in a store under the limit's ID and variant: a process that has never seen
// them can carry over what was written under them. See [Limit.WithValues].
func (l *Limit) Values() string {
	return fmt.Sprintf("%d %d %d %d %s", l.Units, int64(l.Per), l.Burst, l.words, l.Strategy.Name())
}

// WithValues is the limit, compiled, under other values out of [Limit.Values]. Of a strategy that is neither built in nor this
// limit's own nothing is known but when its states may be forgotten, so its keys count as empty until then.
func (l *Limit) WithValues(values string) (*Limit, error) {
	parts := strings.SplitN(values, " ", 5)
	var numbers [4]int64
	broken := len(parts) != 5
	for i := 0; i < len(numbers) && !broken; i++ {
		n, err := strconv.ParseInt(parts[i], 10, 64)
		numbers[i], broken = n, err != nil
	}
	if broken {
		return nil, l.errorf("values %q are not what Limit.Values wrote", values)
	}
	other := Limit{ID: l.ID, Units: numbers[0], Per: time.Duration(numbers[1]), Burst: numbers[2], OnChange: l.OnChange}
	if err := other.validate(); err != nil {
		return nil, err
	}
	return other.remembered(parts[4], max(1, int(numbers[3])), l.Strategy), nil
}

// remembered is the limit compiled under the strategy of that name, as far as this program has it.
func (l Limit) remembered(name string, words int, own Strategy) *Limit {
	l.Strategy = dormant{name, words}
	if s, err := strategyNamed(name); err == nil {
		l.Strategy = s
	} else if own != nil && own.Name() == name {
		l.Strategy = own
	}
	c, err := l.Compile()
	if err != nil {
		l.Strategy = dormant{name, words}
		c, _ = l.Compile()
	}
	return c
}

// Held is the key of one claim while a call with several claims is decided: its state, lent what the claim may need, and the mark
// of the instant.
type Held struct {
	State State
	Mark  Mark
}

// DecideAll decides a call whose keys the store holds still: all claims are granted or none, as [Store.All] says. If the call is
// granted the states are those after it, else they are as they were.
func DecideAll(claims []Claim, keys []Held, into []Outcome) bool {
	granted, times := true, int64(math.MaxInt64)
	var few [fewClaims]State
	next := few[:0]
	for i := range claims {
		c, k := &claims[i], &keys[i]
		n, a := c.Limit.Strategy.Apply(k.State, c.Limit, k.Mark.At(), c.Op)
		into[i] = Outcome{Answer: a, Mark: k.Mark}
		next = append(next, n)
		switch {
		case c.Op.Max == 0:
			granted = granted && a.Wait == 0
		case c.Op.Max > 0:
			granted = granted && a.Granted >= c.Op.Min
			if c.Op.inSteps() {
				times = min(times, a.Granted/c.Op.Min)
			}
		}
	}
	for i := range claims {
		c, k, o := &claims[i], &keys[i], &into[i]
		switch {
		case !granted && o.Granted > 0:
			o.wouldBeGranted(c.Limit, k.State, k.Mark.At(), c.Op)
		case granted && c.Op.inSteps() && o.Granted != c.Op.Min*times:
			k.State, o.Answer = c.Limit.Strategy.Apply(k.State, c.Limit, k.Mark.At(), TakeOp(c.Op.Min*times))
		case granted:
			k.State = next[i]
		}
	}
	return granted
}
