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
	// RealClock says that the store cannot be given a clock. The laws then run on the store's own time, as its marks tell it; left
	// out, and logged as left out, is what needs a clock to step back or to stand still. One store serves for all traces of a law.
	RealClock bool

	// Checks is how many random traces each property tries, at most -rapid.checks, and Rounds how many histories are recorded of
	// each strategy for linearizability. Below 100 checks the tests of many calls make fewer calls in proportion. No law is left
	// out for it: turn both down for a store that is slow. Default: the flags -rapid.checks and -limittest.rounds, and a tenth of
	// them with a RealClock.
	Checks, Rounds int

	// RefusesEarly says that the store may refuse too much, as one does that takes leases or remembers refusals. It is held to
	// law 1 and to being consistent, not to the exact model.
	RefusesEarly bool

	// Late is how long before it is granted a unit may have been charged, as the life of a lease: law 1 is held for spans that much
	// longer on a token bucket, and as it is on windows. Default: not at all.
	Late time.Duration

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
	needsClock need = 1 << iota // a clock that the test can set, also back
	needsExact                  // no refusal that the model does not know
)

var storeLaws = []storeLaw{
	{"law1_never_over", 0, storeNeverOver},
	{"law1_never_over_at_once", 0, storeExactlyCapacity},
	{"law2_as_the_exact_model", needsExact, storeAsModel},
	{"law3_refusals_are_free", needsExact, storeRefusalsFree},
	{"law4_all_or_nothing", needsExact, storeAllOrNothing},
	{"law4_all_or_nothing_at_once", 0, storeAllAtOnce},
	{"law4_up_to_in_step", needsExact, storeUpToInStep},
	{"law4_charge_with_its_marker", 0, storeChargeWithMarker},
	{"law5_answers_are_true", needsExact, storeAnswersTrue},
	{"law6_peeks_look", needsExact, storePeeksLook},
	{"law7_time_goes_forward", needsClock, storeTimeForward},
	{"law8_forgetting_is_invisible", needsExact, storeForgetting},
	{"law9_keys_never_meet", needsExact, storeKeysNeverMeet},
	{"law10_bounds_on_everything", 0, storeBounds},
	{"law10_close_leaves_nothing", 0, storeLeavesNothing},
	{"batches", needsExact, storeBatches},
	{"receipts_once_only", needsExact, storeReceipts},
	{"receipts_once_only_at_once", 0, storeReceiptsAtOnce},
	{"resets_void_receipts", needsExact, storeResetVoids},
	{"blocks_survive_resets", needsExact, storeBlocks},
	{"blocks_end", 0, storeBlockEnds},
	{"changes_carry_the_used_share", needsExact, storeChanges},
	{"changes_gain_nothing", 0, storeChangesGainNothing},
	{"new_key_at_once", 0, storeNewKeyAtOnce},
	{"many_keys_at_once", 0, storeManyKeysAtOnce},
	{"vectors", needsClock | needsExact, storeVectors},
	{"linearizable", needsExact, storeLinearizable},
}

// shelf is a store under test.
type shelf struct {
	StoreOptions
	open Open
	tag  string
	ids  atomic.Int64

	nonces atomic.Uint64
}

func newShelf(o StoreOptions, open Open) *shelf {
	if o.Strategies == nil {
		o.Strategies = Strategies()
	}
	if o.Callers <= 0 {
		o.Callers = max(2, *callers)
	}
	share := 1
	if o.RealClock {
		share = 10
	}
	if o.Checks <= 0 {
		o.Checks = max(1, rapidChecks()/share)
	}
	if o.Rounds <= 0 {
		o.Rounds = max(1, *rounds/share)
	}
	s := &shelf{StoreOptions: o, open: open, tag: fmt.Sprintf("kit-%x", rand.Uint64())}
	s.nonces.Store(rand.Uint64N(1 << 63))
	return s
}

// rapidChecks is the flag -rapid.checks.
func rapidChecks() int {
	if f := flag.Lookup("rapid.checks"); f != nil {
		if n, ok := f.Value.(flag.Getter).Get().(int); ok {
			return n
		}
	}
	return 100
}

// some is how many of n calls or keys to make: all of them, or fewer with fewer checks, but at least so many.
func (s *shelf) some(n, least int) int {
	return max(min(n, least), n*min(s.Checks, 100)/100)
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

// nonce is one that no other receipt of any test has.
func (s *shelf) nonce() uint64 { return s.nonces.Add(1) }

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
	a, _ := oneAt(t, store, l, key, op)
	return a
}

// oneAt is one, and the store's instant of it.
func oneAt(t fataler, store stint.Store, l *stint.Limit, key string, op stint.Op) (a stint.Answer, at int64) {
	a, mark, err := store.One(context.Background(), l, key, op)
	if err != nil {
		t.Fatalf("%s: %s: %v", showLimit(l), show(op), err)
	}
	return a, mark.At()
}

// Strategies are all built-in strategies.
func Strategies() []stint.Strategy {
	return []stint.Strategy{
		stint.TokenBucket{}, stint.IntervalBucket{}, stint.FixedWindow{}, stint.CalendarWindow{},
		stint.CalendarWindow{Every: stint.Month}, stint.SlidingLog{}, stint.SlidingCounter{}, stint.Concurrency{}, stint.Pacing{},
	}
}

// stores makes stores for test after test: a new one each time, or, where time cannot be set anyway, one for all. last closes it.
func (s *shelf) stores(t testing.TB) (next func() (stint.Store, *Clock), last func()) {
	var store stint.Store
	var clock *Clock
	last = func() {
		if store == nil {
			return
		}
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	next = func() (stint.Store, *Clock) {
		if !s.RealClock || store == nil {
			last()
			store, clock = s.begin(t)
		}
		return store, clock
	}
	return next, last
}

// checks runs a property on random traces, each on limits of its own.
func (s *shelf) checks(t *testing.T, check func(rt *rapid.T, store stint.Store, clock *Clock)) {
	next, last := s.stores(t)
	defer last()
	s.property(t, func(rt *rapid.T) {
		store, clock := next()
		check(rt, store, clock)
	})
}

// property runs a property on so many random traces as the options say. Those by which rapid shrinks a trace that failed do not
// count.
func (s *shelf) property(t *testing.T, check func(rt *rapid.T)) {
	t.Helper()
	ran, broken := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		if ran >= s.Checks && !broken {
			return
		}
		ran++
		passed := false
		defer func() { broken = broken || !passed }()
		check(rt)
		passed = true
	})
}
