package stint

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A reference is an obviously right strategy for one key: exact numbers without bounds, no thought of speed, and written without
// a look at the strategy. It only has to say what a call finds and what it leaves.
type reference interface {
	// room is how many units are free at now, less than none in debt.
	room(now int64) *big.Int
	take(now int64, n *big.Int)
	refund(now, n, at int64) int64 // returns the units given back, as credit does
	credit(now, n int64) int64
	clear()
	// reset is the time until the key is as good as new, if nobody calls.
	reset(now int64) int64
}

// trace runs random operations on a strategy beside its reference.
type trace struct {
	t      *testing.T
	random *rand.Rand
	limit  *Limit
	ref    reference
	now    int64
	state  State
	takes  []takenAt
	log    []string
}

type takenAt struct{ at, n int64 }

const traceStart = int64(1_800_000_000_000_000)

// runTraces holds a strategy to its reference on random traces of each limit.
func runTraces(t *testing.T, limits []Limit, newReference func(l *Limit) reference) {
	t.Helper()
	for i, limit := range limits {
		l, err := limit.Compile()
		if err != nil {
			t.Fatalf("limit %d: %v", i, err)
		}
		t.Run(fmt.Sprintf("%d_per_%v_of_%d", l.Units, l.Per, l.capacity), func(t *testing.T) {
			for seed := range uint64(5) {
				tr := &trace{t: t, random: rand.New(rand.NewPCG(seed, 7)), limit: l, ref: newReference(l), now: traceStart}
				tr.now += tr.random.Int64N(max(1, l.span()))
				for n := 0; n < 300 && tr.now < MaxInstant-4*l.span(); n++ {
					tr.step()
				}
			}
		})
	}
}

// span is about how long a limit's memory lasts.
func (l *Limit) span() int64 { return min(maxSpan, max(8, int64(l.Per/Tick))) }

func (tr *trace) fail(format string, args ...any) {
	tr.t.Helper()
	for _, line := range tr.log[max(0, len(tr.log)-12):] {
		tr.t.Log(line)
	}
	tr.t.Fatalf("%s %d/%v burst %d at %d: %s", tr.limit.Strategy.Name(), tr.limit.Units, tr.limit.Per, tr.limit.Burst, tr.now-traceStart,
		fmt.Sprintf(format, args...))
}

// cost draws a number of units: often few, often about the capacity, sometimes absurd.
func (tr *trace) cost() int64 {
	c := tr.limit.capacity
	switch tr.random.IntN(12) {
	case 0:
		return max(1, c)
	case 1:
		return max(1, c/2)
	case 2:
		return min(c, math.MaxInt64-1) + 1
	case 3:
		return math.MaxInt64
	case 4, 5:
		return 1 + tr.random.Int64N(max(1, c))
	case 6, 7:
		return 1 + tr.random.Int64N(max(1, c/4))
	}
	return 1 + tr.random.Int64N(3)
}

func (tr *trace) step() {
	tr.t.Helper()
	if tr.random.IntN(3) == 0 {
		switch tr.random.IntN(8) {
		case 0:
			tr.now++
		case 1:
			tr.now += tr.limit.span()
		case 2:
			tr.now += tr.random.Int64N(3 * tr.limit.span())
		default:
			tr.now += tr.random.Int64N(max(2, tr.limit.span()/8))
		}
	}
	tr.look()
	n := tr.cost()
	switch kind := tr.random.IntN(20); {
	case kind < 10:
		tr.do(TakeOp(n))
	case kind < 13:
		tr.do(UpToOp(n))
	case kind == 13 && tr.limit.capacity < 1<<40: // above, a debt would be capped
		tr.do(ChargeOp(1 + tr.random.Int64N(2*tr.limit.capacity)))
	case kind == 14:
		tr.do(CreditOp(min(n, math.MaxInt64-1)))
	case kind < 18 && len(tr.takes) > 0:
		i := tr.random.IntN(len(tr.takes))
		taken := tr.takes[i]
		tr.takes = slices.Delete(tr.takes, i, i+1)
		if tr.random.IntN(2) == 0 {
			taken.n = 1 + tr.random.Int64N(taken.n)
		}
		tr.do(RefundOp(taken.n, taken.at))
	case kind == 18 && tr.random.IntN(10) == 0:
		tr.do(ResetOp())
	}
}

// do does op on both sides.
func (tr *trace) do(op Op) {
	tr.t.Helper()
	tr.log = append(tr.log, fmt.Sprintf("%d: %v %+v", tr.now-traceStart, []string{"look", "grant", "charge", "refund", "credit", "clear", "undo"}[op.Kind()], op))
	// Once to drop the result: it may not be seen afterwards.
	before := tr.cells()
	_, dropped := tr.apply(tr.now, op)
	if !slices.Equal(before, tr.cells()) {
		tr.fail("a cell that the state counts was written")
	}
	s, a := tr.apply(tr.now, op)
	if a != dropped {
		tr.fail("answers %+v and %+v to the same operation on the same state", dropped, a)
	}
	room := tr.ref.room(tr.now)
	want := int64(0)
	switch op.Kind() {
	case Grant:
		if n := big.NewInt(op.Max); n.Cmp(room) <= 0 {
			want = op.Max
		} else if room.Sign() > 0 && op.Min < op.Max && room.Cmp(big.NewInt(op.Min)) >= 0 {
			want = room.Int64()
		}
		if want > 0 {
			tr.ref.take(tr.now, big.NewInt(want))
			tr.takes = append(tr.takes, takenAt{tr.now, want})
			if a.Wait != 0 {
				tr.fail("granted %d and waits %d", want, a.Wait)
			}
		} else {
			tr.refused(s, a, op)
		}
	case Charge:
		want = op.Max
		tr.ref.take(tr.now, big.NewInt(want))
	case Refund:
		want = tr.ref.refund(tr.now, -op.Max, op.Wait)
	case Credit:
		want = tr.ref.credit(tr.now, -op.Max)
		if _, ok := tr.ref.(*pacingReference); ok {
			tr.takes = nil // which grant was the last is not known any more
		}
	case Clear:
		want = a.Granted
		tr.ref.clear()
		tr.takes = nil
		if s.A > tr.now<<fractionBits {
			tr.fail("a cleared key has state %+v", s)
		}
	}
	if a.Granted != want {
		tr.fail("%d granted, want %d (room %v)", a.Granted, want, room)
	}
	tr.state = s
	tr.answer(a)
}

// refused checks a refusal: it leaves the state as it was, and its wait is honest.
func (tr *trace) refused(s State, a Answer, op Op) {
	tr.t.Helper()
	if s != tr.state {
		tr.fail("a refusal changed the state")
	}
	tr.honest(a.Wait, op.Min)
}

// honest checks that waiting exactly so long admits n units and one tick less does not.
func (tr *trace) honest(wait, n int64) {
	tr.t.Helper()
	if n > tr.limit.capacity {
		if wait != Forever {
			tr.fail("%d units can never pass, but are told to wait %d", n, wait)
		}
		return
	}
	if wait < 0 {
		tr.fail("wait %d for %d units", wait, n)
	}
	if wait > MaxInstant-tr.now {
		return
	}
	if _, a := tr.apply(tr.now+wait, TakeOp(n)); a.Granted != n {
		tr.fail("%d units refused after waiting %d", n, wait)
	}
	if wait > 0 {
		if _, a := tr.apply(tr.now+wait-1, TakeOp(n)); a.Granted != 0 {
			tr.fail("%d units admitted a tick before the wait %d", n, wait)
		}
	}
}

// answer checks the levels in an answer, which are about the state now kept.
func (tr *trace) answer(a Answer) {
	tr.t.Helper()
	room := tr.ref.room(tr.now)
	want := int64(0)
	if room.Sign() > 0 {
		want = room.Int64()
	}
	if _, ok := tr.ref.(*pacingReference); ok {
		want = min(want, 1)
	}
	if a.Remaining != want {
		tr.fail("remaining %d, want %d", a.Remaining, want)
	}
	reset := tr.ref.reset(tr.now)
	if a.Reset != reset {
		tr.fail("reset %d, want %d", a.Reset, reset)
	}
	// What may be forgotten is as good as new.
	if at := tr.state.A >> fractionBits; at > tr.now && at < MaxInstant {
		for _, n := range []int64{1, tr.limit.capacity} {
			_, old := tr.apply(at+1, TakeOp(n))
			_, fresh := tr.limit.Strategy.Apply(State{}, tr.limit, at+1, TakeOp(n))
			if old != fresh {
				tr.fail("at the instant of forgetting %+v, a new key %+v", old, fresh)
			}
		}
	}
	if reset < MaxInstant-tr.now {
		_, old := tr.apply(tr.now+reset, LookOp(1))
		_, fresh := tr.limit.Strategy.Apply(State{}, tr.limit, tr.now+reset, LookOp(1))
		if old != fresh {
			tr.fail("after the reset %+v, a new key %+v", old, fresh)
		}
	}
}

// look checks looks, now and with a clock that stepped back.
func (tr *trace) look() {
	tr.t.Helper()
	before := tr.cells()
	n := tr.cost()
	s, a := tr.apply(tr.now, LookOp(n))
	if s != tr.state || !slices.Equal(before, tr.cells()) {
		tr.fail("a look changed the state")
	}
	tr.honest(a.Wait, n)
	tr.answer(a)
	if a.Remaining < 40 {
		s, passed := tr.copied(), int64(0)
		for {
			next, one := tr.limit.Strategy.Apply(s, tr.limit, tr.now, TakeOp(1))
			if one.Granted == 0 {
				break
			}
			s = next
			passed++
		}
		if passed != a.Remaining {
			tr.fail("remaining %d, but %d pass", a.Remaining, passed)
		}
	}
	for _, back := range []int64{1, tr.limit.span() / 2, tr.limit.span() * 2} {
		if _, earlier := tr.apply(tr.now-back, LookOp(1)); earlier.Remaining > a.Remaining && tr.state.A > tr.now<<fractionBits {
			tr.fail("a clock %d earlier leaves %d instead of %d", back, earlier.Remaining, a.Remaining)
		}
	}
}

// apply does op on the kept state.
func (tr *trace) apply(now int64, op Op) (State, Answer) {
	return tr.limit.Strategy.Apply(tr.state, tr.limit, now, op)
}

// copied is the kept state on cells of its own.
func (tr *trace) copied() State {
	s := tr.state
	s.Log = s.Log.Clone()
	return s
}

// cells is what the kept state counts of its ring, without the newest run's instant, which it does not read.
func (tr *trace) cells() []Pair {
	if tr.limit.words <= 3 || tr.state.Log == nil {
		return nil
	}
	pairs := growCells(tr.state, 0).Log.Pairs()
	if n := len(pairs); n > 0 {
		pairs[n-1].At = 0
	}
	return pairs
}

// roomOf is what units used leave of a capacity.
func roomOf(capacity int64, used *big.Int) *big.Int {
	return new(big.Int).Sub(big.NewInt(capacity), used)
}

// years is a period of so many years.
func years(n int64) time.Duration { return time.Duration(n) * 365 * 24 * time.Hour }

// randomOps draws operations of all kinds, bookings ahead among them, at instants that may step back.
type randomOps struct {
	limit  *Limit
	random *rand.Rand
	now    int64
}

func newRandomOps(l *Limit, seed uint64) *randomOps {
	return &randomOps{l, rand.New(rand.NewPCG(seed, 3)), traceStart}
}

func (r *randomOps) next() (now int64, op Op) {
	span := r.limit.span()
	switch r.random.IntN(6) {
	case 0:
		r.now += r.random.Int64N(span)
	case 1:
		r.now += r.random.Int64N(max(2, span/100))
	case 2:
		if r.random.IntN(10) == 0 {
			r.now = max(0, r.now-r.random.Int64N(span))
		}
	}
	if r.now > MaxInstant-span {
		r.now = traceStart
	}
	n := 1 + r.random.Int64N(max(1, r.limit.capacity))
	if r.random.IntN(3) > 0 {
		n = 1 + r.random.Int64N(4)
	}
	switch kind := r.random.IntN(16); {
	case kind < 7:
		return r.now, TakeOp(n)
	case kind < 9:
		return r.now, UpToOp(n)
	case kind < 11:
		return r.now, WithinOp(n, r.random.Int64N(2*span))
	case kind == 11:
		return r.now, LookOp(n)
	case kind == 12:
		return r.now, ChargeOp(n)
	case kind == 13:
		return r.now, CreditOp(n)
	case kind == 14 && r.random.IntN(2) == 0:
		return r.now, UndoOp(n, r.now+r.random.Int64N(span))
	case kind == 14:
		return r.now, RefundOp(n, max(1, r.now-r.random.Int64N(span)))
	}
	if r.random.IntN(20) == 0 {
		return r.now, ResetOp()
	}
	return r.now, TakeOp(1)
}

// With a clock that steps back and forth: it grants nothing that the latest instant would not, and the waits stay honest.
func TestClockStepsBack(t *testing.T) {
	for _, c := range benchmarkedLimits() {
		l := mustCompile(t, c.limit)
		random := newRandomOps(l, 9)
		tr := &trace{t: t, random: random.random, limit: l, now: traceStart}
		latest := tr.now
		for range 4000 {
			_, op := random.next()
			if op.Kind() == Refund || op.Kind() == Undo || op.Wait > 0 && op.Wait < Forever {
				continue
			}
			if tr.now = latest; random.random.IntN(3) == 0 {
				tr.now -= 1 + random.random.Int64N(3*l.span())
			} else if tr.now += random.random.Int64N(max(2, l.span()/20)); tr.now > latest {
				latest = tr.now
			}
			_, then := tr.apply(latest, LookOp(1))
			s, a := tr.apply(tr.now, op)
			if tr.now < latest && op.Kind() == Grant && a.Granted > then.Remaining && c.name != "pacing" {
				tr.fail("%d granted %d before an instant that has only %d", a.Granted, latest-tr.now, then.Remaining)
			}
			if a.Granted == 0 && op.Max >= 0 && op.Kind() != Charge {
				tr.honest(a.Wait, op.Min)
			}
			if s.A < tr.state.A && op.Max > 0 {
				tr.fail("%+v moved %+v back to %+v", op, tr.state, s)
			}
			tr.state = s
		}
	}
}

// A limit of 0 denies all, for ever.
func TestZeroDenies(t *testing.T) {
	for _, strategy := range builtIn() {
		if strategy == Strategy(unlimited{}) {
			continue
		}
		l, err := Limit{Per: time.Hour, Strategy: strategy}.Compile()
		if err != nil {
			t.Errorf("%s: %v", strategy.Name(), err)
			continue
		}
		for _, op := range []Op{TakeOp(1), UpToOp(5), WithinOp(1, 1<<40), LookOp(1), TakeOp(math.MaxInt64)} {
			s, a := strategy.Apply(State{}, l, traceStart, op)
			if s != (State{}) || a != (Answer{Wait: Forever}) {
				t.Errorf("%s: %+v: %+v", strategy.Name(), op, a)
			}
		}
	}
}

func TestUnlimited(t *testing.T) {
	l := mustCompile(t, Unlimited())
	for _, n := range []int64{1, math.MaxInt64} {
		s, a := l.Strategy.Apply(State{}, l, traceStart, TakeOp(n))
		if s != (State{}) || a != (Answer{Granted: n, Remaining: math.MaxInt64}) {
			t.Errorf("%+v", a)
		}
	}
	if l.Capacity() != math.MaxInt64 {
		t.Error(l.Capacity())
	}
}

// No decision allocates, once the store has lent its cells.
func TestApplyDoesNotAllocate(t *testing.T) {
	for _, c := range benchmarkedLimits() {
		l := mustCompile(t, c.limit)
		s, now := State{}, traceStart
		if l.words > 3 {
			s.Log = NewCells(l.words)
		}
		for _, op := range []Op{TakeOp(1), UpToOp(3), LookOp(1), TakeOp(math.MaxInt64), ChargeOp(1), CreditOp(1)} {
			if n := testing.AllocsPerRun(200, func() {
				s, _ = l.Strategy.Apply(s, l, now, op)
				now += 700
			}); n != 0 {
				t.Errorf("%s: %+v: %v allocations", c.name, op, n)
			}
		}
	}
	// A calendar's window is looked up when a key is new.
	l := mustCompile(t, PerCalendarMonth(5, time.UTC))
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Strategy.Apply(State{}, l, traceStart, TakeOp(1)) }); n != 0 {
		t.Errorf("%s: %v allocations", l.Strategy.Name(), n)
	}
}
