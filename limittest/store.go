package limittest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"pgregory.net/rapid"
)

// Open makes an empty store for one test. If it is given a clock the store must take its time from it; a nil clock asks for
// one on its own time. The kit closes the store. Opening must not touch what another test's store holds: on a shared server
// that is so by itself, since the kit never uses a limit's id twice.
type Open func(t testing.TB, clock *Clock) stint.Store

// StoreOptions say what a store cannot do. The zero value is a store that can do everything.
type StoreOptions struct {
	// RealClock says that the store cannot be given a clock. The laws that need time to move at will are left out, and logged
	// as left out; all others run within one span of their limits.
	RealClock bool

	// RefusesEarly says that the store may refuse too much, as one does that takes leases or remembers refusals. It is held to
	// law 1 and to being consistent, not to the exact model.
	RefusesEarly bool

	// LeavesOut names laws that are not held to, each with the reason, which is logged. Default: none.
	LeavesOut map[string]string

	// Strategies to run the store with. Default: all built-in ones.
	Strategies []stint.Strategy

	// Bounded makes a store that keeps about so many keys, for the test of floods. Default: that test is left out.
	Bounded func(t testing.TB, clock *Clock, keys int64) stint.Store

	// Callers is how many goroutines call at once in the tests of concurrency. Default: the flag -limittest.callers, 8.
	Callers int
}

// Store runs every law that a store must hold, each as a sub-test of its name.
func Store(t *testing.T, open Open) { StoreWith(t, StoreOptions{}, open) }

// StoreWith is Store with options.
func StoreWith(t *testing.T, o StoreOptions, open Open) {
	s := newShelf(o, open)
	for _, law := range storeLaws {
		t.Run(law.name, func(t *testing.T) { s.run(t, law) })
	}
}

// storeLaw is one law of stores, and what it needs of them.
type storeLaw struct {
	name  string
	needs need
	check func(*testing.T, *shelf)
}

// callers is how many goroutines call at once.
var callers = flag.Int("limittest.callers", 8, "limittest: goroutines that call at once in the tests of concurrency")

type need uint8

const (
	needsClock need = 1 << iota // a clock that the test can set
	needsExact                  // no refusal that the model does not know
)

var storeLaws = []storeLaw{
	{"law1_never_over", needsClock, storeNeverOver},
	{"law1_never_over_at_once", 0, storeExactlyCapacity},
	{"law2_as_the_exact_model", needsClock | needsExact, storeAsModel},
	{"law3_refusals_are_free", needsExact, storeRefusalsFree},
	{"law4_all_or_nothing", needsExact, storeAllOrNothing},
	{"law4_all_or_nothing_at_once", 0, storeAllAtOnce},
	{"law4_up_to_in_step", needsExact, storeUpToInStep},
	{"law5_answers_are_true", needsClock | needsExact, storeAnswersTrue},
	{"law6_peeks_look", needsExact, storePeeksLook},
	{"law7_time_goes_forward", needsClock, storeTimeForward},
	{"law8_forgetting_is_invisible", needsClock | needsExact, storeForgetting},
	{"law9_keys_never_meet", needsExact, storeKeysNeverMeet},
	{"law10_bounds_on_everything", 0, storeBounds},
	{"law10_close_leaves_nothing", 0, storeLeavesNothing},
	{"batches", needsExact, storeBatches},
	{"receipts_once_only", needsExact, storeReceipts},
	{"resets_void_receipts", needsClock | needsExact, storeResetVoids},
	{"blocks_survive_resets", needsExact, storeBlocks},
	{"blocks_end", needsClock, storeBlockEnds},
	{"changes_carry_the_used_share", needsClock | needsExact, storeChanges},
	{"changes_gain_nothing", 0, storeChangesGainNothing},
	{"new_key_at_once", 0, storeNewKeyAtOnce},
	{"many_keys_at_once", 0, storeManyKeysAtOnce},
	{"vectors", needsClock | needsExact, storeVectors},
	{"linearizable", needsClock | needsExact, storeLinearizable},
}

// shelf is a store under test.
type shelf struct {
	StoreOptions
	open Open
	tag  string
	ids  atomic.Int64
}

func newShelf(o StoreOptions, open Open) *shelf {
	if o.Strategies == nil {
		o.Strategies = Strategies()
	}
	if o.Callers <= 0 {
		o.Callers = max(2, *callers)
	}
	return &shelf{StoreOptions: o, open: open, tag: fmt.Sprintf("kit-%x", rand.Uint64())}
}

// run runs a law, or says why not.
func (s *shelf) run(t *testing.T, law storeLaw) {
	switch {
	case law.needs&needsClock != 0 && s.RealClock:
		t.Log("left out: it needs a store whose clock the test can set")
	case law.needs&needsExact != 0 && s.RefusesEarly:
		t.Log("left out: it needs a store that never refuses early")
	case s.LeavesOut[law.name] != "":
		t.Log("left out:", s.LeavesOut[law.name])
	default:
		law.check(t, s)
	}
}

// store opens a store that is closed at the end of the test.
func (s *shelf) store(t testing.TB) (stint.Store, *Clock) {
	t.Helper()
	store, clock := s.begin(t)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return store, clock
}

// begin opens a store that the caller closes.
func (s *shelf) begin(t testing.TB) (stint.Store, *Clock) {
	if s.RealClock {
		return s.open(t, nil), nil
	}
	clock := new(Clock)
	return s.open(t, clock), clock
}

// named is the limit under an id that no other test uses.
func (s *shelf) named(l stint.Limit) stint.Limit {
	return l.WithID(fmt.Sprintf("%s-%d", s.tag, s.ids.Add(1)))
}

// compiled is the limit, named and compiled.
func (s *shelf) compiled(t fataler, l stint.Limit) *stint.Limit {
	c, err := s.named(l).Compile()
	if err != nil {
		t.Fatalf("limit %d per %v: %v", l.Units, l.Per, err)
	}
	return c
}

// fataler is what testing.TB and rapid.T have in common.
type fataler interface {
	Fatalf(format string, args ...any)
}

// lasting are limits of n units, one for each strategy, under which nothing changes by itself for as long as a test lasts,
// even on a real clock.
func (s *shelf) lasting(t fataler, n int64) []*stint.Limit {
	limits := make([]*stint.Limit, len(s.Strategies))
	for i, strategy := range s.Strategies {
		limits[i] = s.lastingOf(t, strategy, n)
	}
	return limits
}

func (s *shelf) lastingOf(t fataler, strategy stint.Strategy, n int64) *stint.Limit {
	const per = 1000 * 24 * time.Hour
	l := stint.Limit{Units: n, Per: per, Strategy: strategy}
	if booksAhead(strategy) {
		l.Units, l.Burst = 1, n
	}
	return s.compiled(t, l)
}

// one does an operation on a store that must not fail.
func one(t fataler, store stint.Store, l *stint.Limit, key string, op stint.Op) stint.Answer {
	a, _, err := store.One(context.Background(), l, key, op)
	if err != nil {
		t.Fatalf("%s: %s: %v", showLimit(l), show(op), err)
	}
	return a
}

// Strategies are all built-in strategies.
func Strategies() []stint.Strategy {
	return []stint.Strategy{
		stint.TokenBucket{}, stint.IntervalBucket{}, stint.FixedWindow{}, stint.CalendarWindow{},
		stint.CalendarWindow{Every: stint.Month}, stint.SlidingLog{}, stint.SlidingCounter{}, stint.Concurrency{}, stint.Pacing{},
	}
}

// checks runs a property on many random traces, each on a store of its own where opening one is cheap.
func (s *shelf) checks(t *testing.T, check func(rt *rapid.T, store stint.Store, clock *Clock)) {
	rapid.Check(t, func(rt *rapid.T) {
		store, clock := s.begin(t)
		defer store.Close()
		check(rt, store, clock)
	})
}
