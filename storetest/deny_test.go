package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stint-go/stint"
	"github.com/stint-go/stint/deny"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/limittest/fault"
)

func remembering(t testing.TB, inner stint.Store, o deny.Options) *deny.Store {
	t.Helper()
	s, err := deny.New(inner, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDeny(t *testing.T) {
	o := oneOfEachForm
	const why = "waits for larger costs than were refused are bounds; TestDenyIsExact and TestDenyIsLinearizable hold it to all but those"
	o.LeavesOut = map[string]string{"law2_as_the_exact_model": why, "linearizable": why}
	limittest.StoreWith(t, o, func(t testing.TB, clock *limittest.Clock) stint.Store {
		return remembering(t, memoryStore(t, clock), deny.Options{Clock: clock.Now})
	})
}

// twin is a store that remembers refusals beside one that does not, on one clock.
type twin struct {
	t        *testing.T
	clock    *limittest.Clock
	deny     *deny.Store
	memory   *stint.Memory
	limits   []*stint.Limit
	random   *rand.Rand
	receipts []stint.Claim // to be refunded
	nonce    uint64
	steps    []string
}

// TestDenyIsExact: in one process memory changes no verdict, whatever is done, and no number that is not marked as approximate.
// What is marked errs on the side that it says.
func TestDenyIsExact(t *testing.T) {
	spared := int64(0)
	for _, strategy := range limittest.Strategies() {
		for seed := range uint64(6) {
			w := &twin{t: t, clock: new(limittest.Clock), random: rand.New(rand.NewPCG(seed, 1))}
			w.memory = memoryStore(t, w.clock)
			w.deny = remembering(t, memoryStore(t, w.clock), deny.Options{Clock: w.clock.Now, TTL: time.Duration(1+seed%3) * 400 * time.Millisecond, MaxKeys: 16})
			w.limits = []*stint.Limit{
				compiledLimit(t, stint.Limit{ID: "a", Units: 10, Per: time.Second, Strategy: strategy}),
				compiledLimit(t, stint.Limit{ID: "a", Units: 6, Per: time.Second, Strategy: strategy}), // its values change to and fro
				compiledLimit(t, stint.Limit{ID: "b", Units: 5, Per: 3 * time.Second, Strategy: strategy}),
			}
			for range 3000 {
				w.step()
			}
			spared += w.deny.Stats().Spared
		}
	}
	if spared < 20_000 {
		t.Errorf("only %d calls were spared: nothing is tested", spared)
	}
}

func (w *twin) key() string { return fmt.Sprint("k", w.random.IntN(3)) }

func (w *twin) claim() stint.Claim {
	limit := w.limits[min(w.random.IntN(12), 2)]
	if w.random.IntN(50) > 0 && limit.ID == "a" {
		limit = w.limits[0]
	}
	return stint.Claim{Limit: limit, Key: w.key(), Op: stint.TakeOp(1 + w.random.Int64N(4))}
}

func (w *twin) step() {
	ctx, c := context.Background(), w.claim()
	switch n := w.random.IntN(100); {
	case n < 30:
		if w.random.IntN(8) == 0 {
			c.Op = []stint.Op{stint.UpToOp(3), stint.LookOp(2), stint.WithinOp(2, 500_000), stint.TakeOp(11)}[w.random.IntN(4)]
		}
		w.one(c)
	case n < 32:
		c.Op = []stint.Op{stint.ChargeOp(1), stint.CreditOp(2), stint.ResetOp()}[w.random.IntN(3)]
		w.one(c)
	case n < 34 && len(w.receipts) > 0:
		i := w.random.IntN(len(w.receipts))
		r := w.receipts[i]
		w.receipts = slices.Delete(w.receipts, i, i+1)
		w.nonce++
		a, m, err := w.deny.Refund(ctx, r.Limit, r.Key, r.Op, w.nonce)
		want, wantMark, wantErr := w.memory.Refund(ctx, r.Limit, r.Key, r.Op, w.nonce)
		w.same(r, stint.Outcome{Answer: a, Mark: m, Err: err}, stint.Outcome{Answer: want, Mark: wantMark, Err: wantErr})
	case n < 35:
		d := []time.Duration{0, 300 * time.Millisecond}[w.random.IntN(2)]
		if w.deny.Block(ctx, c.Limit, c.Key, d) != nil || w.memory.Block(ctx, c.Limit, c.Key, d) != nil {
			w.t.Fatal("block")
		}
	case n < 55:
		w.several(func(s stint.Store, claims []stint.Claim, into []stint.Outcome) error { return s.All(ctx, claims, into) }, false)
	case n < 70:
		w.several(func(s stint.Store, claims []stint.Claim, into []stint.Outcome) error {
			return s.Many(ctx, claims, into)
		}, true)
	case n < 97:
		w.clock.Advance(w.random.Int64N(60_000))
	case n < 98:
		w.clock.Advance(-w.random.Int64N(100_000))
	default:
		w.clock.Advance(w.random.Int64N(2_000_000))
	}
}

func (w *twin) one(c stint.Claim) {
	ctx := context.Background()
	a, m, err := w.deny.One(ctx, c.Limit, c.Key, c.Op)
	want, wantMark, wantErr := w.memory.One(ctx, c.Limit, c.Key, c.Op)
	w.same(c, stint.Outcome{Answer: a, Mark: m, Err: err}, stint.Outcome{Answer: want, Mark: wantMark, Err: wantErr})
}

// several makes a call with up to four claims, on places of their own unless they may meet.
func (w *twin) several(call func(stint.Store, []stint.Claim, []stint.Outcome) error, meet bool) {
	var claims []stint.Claim
	for range 1 + w.random.IntN(4) {
		c := w.claim()
		c.Limit = []*stint.Limit{w.limits[0], w.limits[2]}[w.random.IntN(2)]
		switch w.random.IntN(20) {
		case 0:
			c.Op = stint.LookOp(1)
		case 1:
			if meet {
				c.Op = stint.ResetOp()
			}
		}
		if meet || !slices.ContainsFunc(claims, func(o stint.Claim) bool { return o.Key == c.Key && o.Limit == c.Limit }) {
			claims = append(claims, c)
		}
	}
	got, want := make([]stint.Outcome, len(claims)), make([]stint.Outcome, len(claims))
	if err, wantErr := call(w.deny, claims, got), call(w.memory, claims, want); err != nil || wantErr != nil {
		w.t.Fatal(err, wantErr)
	}
	for i := range claims {
		w.same(claims[i], got[i], want[i])
	}
}

func (w *twin) same(c stint.Claim, got, want stint.Outcome) {
	w.t.Helper()
	w.steps = append(w.steps, fmt.Sprintf("%d: %s %s %+v: %+v, want %+v", w.clock.Now()-limittest.Start, c.Limit.ID, c.Key, c.Op, got, want))
	if got.Mark == got.Mark.Blocked() {
		want.Mark = want.Mark.Blocked() // what began as a block may have become the limit's own refusal
		if want.Wait == stint.Forever {
			want.Reset = got.Reset // a blocked key is never as good as new for a cost that is too much, and the block ends
		}
	}
	ok := got == want
	if !ok && got.Mark == want.Mark.Approximate() && got.Err == nil {
		ok = got.Granted == want.Granted && got.Wait <= want.Wait && (got.Wait > 0) == (want.Wait > 0) && got.Remaining <= want.Remaining
	}
	if !ok {
		for _, step := range w.steps[max(0, len(w.steps)-25):] {
			w.t.Log(step)
		}
		w.t.Fatalf("%s: it differs from the store's own answer", c.Limit.Strategy.Name())
	}
	if c.Op.Kind() == stint.Grant && want.Granted >= c.Op.Min && len(w.receipts) < 20 {
		w.receipts = append(w.receipts, stint.Claim{Limit: c.Limit, Key: c.Key, Op: stint.RefundOp(want.Granted, want.Mark.At())})
	}
}

// remembered is an operation on the one key of a history, and what came of it.
type remembered struct {
	op     stint.Op
	answer stint.Answer
	mark   stint.Mark
}

// TestDenyIsLinearizable: calls at the same time answer as if they had come one after the other, a refusal out of memory among them.
func TestDenyIsLinearizable(t *testing.T) {
	spared := int64(0)
	for _, strategy := range []stint.Strategy{stint.TokenBucket{}, stint.FixedWindow{}, stint.Pacing{}} {
		limit := compiledLimit(t, stint.Limit{Units: 5, Per: time.Second, Strategy: strategy})
		for round := range uint64(40) {
			clock := new(limittest.Clock)
			inner := fault.New(memoryStore(t, clock))
			inner.Always(yielding)
			store := remembering(t, inner, deny.Options{Clock: clock.Now})
			var order atomic.Int64
			histories := make([][]porcupine.Operation, 4)
			var callers sync.WaitGroup
			for i := range histories {
				callers.Go(func() {
					random := rand.New(rand.NewPCG(round, uint64(i)))
					for range 40 {
						op := stint.TakeOp(1 + random.Int64N(3))
						switch random.IntN(20) {
						case 0:
							op = stint.CreditOp(2)
						case 1:
							op = stint.ResetOp()
						case 2:
							op = stint.LookOp(1)
						}
						begun := order.Add(1)
						a, m, err := store.One(context.Background(), limit, "k", op)
						if err != nil {
							t.Error(err)
						}
						histories[i] = append(histories[i], porcupine.Operation{
							ClientId: i, Input: op, Call: begun, Output: remembered{op, a, m}, Return: order.Add(1),
						})
						if random.IntN(4) == 0 {
							clock.Advance(random.Int64N(60_000))
						}
					}
				})
			}
			callers.Wait()
			spared += store.Stats().Spared
			if result, _ := porcupine.CheckOperationsVerbose(verdicts(limit), slices.Concat(histories...), 30*time.Second); result != porcupine.Ok {
				t.Fatalf("%s, round %d: the history is %s", strategy.Name(), round, result)
			}
		}
	}
	if spared < 1000 {
		t.Errorf("only %d calls were spared: nothing is tested", spared)
	}
}

// verdicts is one key of the limit, at the instants that the answers tell. The numbers of a refusal may be those of a moment before,
// when takes that are under way were not made yet.
func verdicts(limit *stint.Limit) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return stint.State{} },
		Step: func(state, _, output any) (bool, any) {
			o := output.(remembered)
			after, want := limit.Strategy.Apply(state.(stint.State), limit, o.mark.At(), o.op)
			if o.op.Kind() == stint.Grant && want.Granted == 0 {
				return o.answer.Granted == 0 && o.answer.Wait <= want.Wait, after
			}
			return o.answer == want, after
		},
	}
}

func TestDenyTraps(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"P11_cost_counts":                             denyCost,
		"P11_what_frees_here_acts_at_once":            denyFrees,
		"P11_what_frees_elsewhere_acts_within_TTL":    denyElsewhere,
		"P11_a_changed_limit_is_another":              denyChange,
		"P11_a_refusal_on_its_way_is_dropped_too":     denyOnItsWay,
		"P11_a_change_that_failed_may_have_been_made": denyFailed,
		"F20_nobody_is_refused_room_that_was_seen":    denySeen,
		"F7_waits_shrink":                             denyAges,
		"F15_what_is_remembered_costs_nothing":        denySpares,
		"F15_several_claims":                          denyAll,
		"F15_batches":                                 denyMany,
		"F6_peeks_go_to_the_store":                    denyPeeks,
		"F17_errors_and_lost_stores_are_forgotten":    denyErrors,
		"F19_memory_is_bounded":                       denyBounded,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

// wary is a limit of 10 units a minute on a store that remembers refusals.
type wary struct {
	t       *testing.T
	memory  *stint.Memory
	inner   *fault.Store
	store   *deny.Store
	limiter *stint.Limiter
	other   *stint.Limiter // of another process
	limit   *stint.Limit
}

func newWary(t *testing.T, o deny.Options) *wary {
	t.Helper()
	w := &wary{t: t, memory: memoryStore(t, nil)}
	w.inner = fault.New(w.memory)
	w.store = remembering(t, w.inner, o)
	limit := stint.PerMinute(10).WithID("wary").WithStrategy(stint.FixedWindow{})
	var err, failed error
	w.limiter, err = stint.NewWith(stint.Options{Store: w.store}, limit)
	w.other, failed = stint.NewWith(stint.Options{Store: w.memory}, limit)
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	w.limit = w.limiter.Limits()[0]
	return w
}

// take takes n units and says whether they were granted and the inner store was asked.
func (w *wary) take(n int64) (allowed, asked bool) {
	w.t.Helper()
	before := len(w.inner.Calls())
	d, err := w.limiter.Take(context.Background(), "k", n)
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Allowed, len(w.inner.Calls()) > before
}

func (w *wary) want(n int64, allowed, asked bool) {
	w.t.Helper()
	if a, b := w.take(n); a != allowed || b != asked {
		w.t.Errorf("take %d: allowed %v, the store asked %v; want %v, %v", n, a, b, allowed, asked)
	}
}

func denyCost(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(7, true, true)
	w.want(5, false, true)
	w.want(5, false, false)
	w.want(9, false, false)
	w.want(11, false, false)
	w.want(4, false, true) // less may pass
	w.want(4, false, false)
	w.want(2, true, true) // and does
	w.want(5, false, true)
	w.want(1, true, true)
	w.want(1, false, true)
	w.want(1, false, false)
}

func denyFrees(t *testing.T) {
	ctx := context.Background()
	for name, free := range map[string]func(*wary, stint.Receipt) error{
		"refund": func(w *wary, r stint.Receipt) error { _, err := w.limiter.Refund(ctx, r); return err },
		"reset":  func(w *wary, _ stint.Receipt) error { return w.limiter.Reset(ctx, "k") },
		"credit": func(w *wary, _ stint.Receipt) error { return w.limiter.Credit(ctx, "k", 3) },
		"unblock": func(w *wary, _ stint.Receipt) error {
			if err := w.limiter.Reset(ctx, "k"); err != nil {
				return err
			}
			if err := w.limiter.Block(ctx, "k", time.Hour); err != nil {
				return err
			}
			w.want(1, false, true)
			w.want(1, false, false)
			return w.limiter.Block(ctx, "k", 0)
		},
	} {
		w := newWary(t, deny.Options{})
		d, err := w.limiter.Take(ctx, "k", 10)
		if err != nil {
			t.Fatal(err)
		}
		w.want(1, false, true)
		w.want(1, false, false)
		receipt, _ := d.Receipt()
		if err := free(w, receipt); err != nil {
			t.Fatal(name, err)
		}
		if allowed, asked := w.take(1); !allowed || !asked {
			t.Errorf("after a %s: allowed %v, the store asked %v", name, allowed, asked)
		}
	}
}

func denyElsewhere(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	w.want(1, false, true)
	if err := w.other.Reset(context.Background(), "k"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second - 1)
	w.want(1, false, false)
	time.Sleep(time.Nanosecond)
	w.want(1, true, true)
}

func denyChange(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	w.want(1, false, true)
	if err := w.limiter.SetLimits(stint.PerMinute(100).WithID("wary").WithStrategy(stint.FixedWindow{})); err != nil {
		t.Fatal(err)
	}
	w.want(1, false, true) // a full share is carried over as one
	w.want(1, false, false)
	// What frees the key under one version frees it under the other.
	if err := w.limiter.Reset(context.Background(), "k"); err != nil {
		t.Fatal(err)
	}
	w.want(1, true, true)
	if a, _, err := w.store.One(context.Background(), w.limit, "k", stint.TakeOp(1)); err != nil || a.Granted != 1 {
		t.Errorf("under the old values: %+v, %v", a, err)
	}
}

func denyOnItsWay(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	late := make(chan struct{})
	w.inner.Next(fault.Fault{Late: late})
	var caller sync.WaitGroup
	caller.Go(func() {
		if w.limiter.Allow("k") {
			t.Error("an eleventh unit is admitted")
		}
	})
	synctest.Wait() // the store has refused, and nobody has heard of it yet
	if err := w.limiter.Reset(context.Background(), "k"); err != nil {
		t.Fatal(err)
	}
	close(late)
	caller.Wait()
	w.want(1, true, true)
}

// denySeen: a reset that is under way has made room already, and somebody has seen it; what was refused just before is no answer.
func denySeen(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	effect, answer := make(chan struct{}), make(chan struct{})
	w.inner.Next(fault.Fault{Gate: effect, Late: answer})
	var operator sync.WaitGroup
	operator.Go(func() {
		if err := w.limiter.Reset(context.Background(), "k"); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	w.want(1, false, true)
	w.want(1, false, true)
	close(effect)
	synctest.Wait()
	if d, err := w.limiter.Peek(context.Background(), "k", 1); err != nil || !d.Allowed {
		t.Errorf("after the reset took effect a peek says %+v, %v", d, err)
	}
	w.want(1, true, true)
	close(answer)
	operator.Wait()
}

func denyFailed(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	w.want(1, false, true)
	w.inner.Next(fault.Fault{After: errDown})
	if err := w.limiter.Reset(context.Background(), "k"); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	w.want(1, true, true)
}

func denyAges(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	ctx := context.Background()
	first, err := w.limiter.Take(ctx, "k", 1)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 9 {
		time.Sleep(100 * time.Millisecond)
		d, err := w.limiter.Take(ctx, "k", 1)
		past := time.Duration(step+1) * 100 * time.Millisecond
		if err != nil || d.Allowed || d.RetryAfter != first.RetryAfter-past || d.ResetAfter != first.ResetAfter-past || d.Approximate {
			t.Errorf("%v after %+v: %+v, %v", past, first, d, err)
		}
	}
	if d, err := w.limiter.Take(ctx, "k", 2); err != nil || d.Allowed || !d.Approximate {
		t.Errorf("a larger cost: %+v, %v", d, err)
	}
	if d, err := w.limiter.Take(ctx, "k", 11); err != nil || d.RetryAfter != stint.Never {
		t.Errorf("more than there can ever be: %+v, %v", d, err)
	}
	// A refusal ends when it says, even within TTL.
	time.Sleep(first.RetryAfter - 900*time.Millisecond - 200*time.Millisecond)
	w.want(1, false, true)
	time.Sleep(200*time.Millisecond - stint.Tick)
	w.want(1, false, false)
	time.Sleep(stint.Tick)
	w.want(1, true, true)
}

func denySpares(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	before := len(w.inner.Calls())
	for range 10_000 { // ten seconds of a caller who does not stop
		if w.limiter.Allow("k") {
			t.Fatal("admitted")
		}
		time.Sleep(time.Millisecond)
	}
	if asked := len(w.inner.Calls()) - before; asked != 10 {
		t.Errorf("the store was asked %d times in ten seconds", asked)
	}
	if st := w.store.Stats(); st.Spared != 9990 || st.Remembered != 10 || st.Displaced != 0 {
		t.Errorf("%+v", st)
	}
}

func denyAll(t *testing.T) {
	w := newWary(t, deny.Options{})
	ctx := context.Background()
	roomy := compiledLimit(t, stint.PerMinute(100).WithID("roomy"))
	call := func(n, m int64) (stint.Decision, []stint.Decision, bool) {
		t.Helper()
		before := len(w.inner.Calls())
		into := make([]stint.Decision, 2)
		d, err := w.limiter.TakeAll(ctx, []stint.Claim{stint.NewClaim(roomy, "ip", n), stint.NewClaim(w.limit, "k", m)}, into)
		if err != nil {
			t.Fatal(err)
		}
		return d, into, len(w.inner.Calls()) > before
	}
	if d, _, asked := call(30, 10); !d.Allowed || !asked {
		t.Errorf("the first call: %+v", d)
	}
	if d, _, asked := call(30, 1); d.Allowed || !asked {
		t.Errorf("the second call: %+v", d)
	}
	time.Sleep(100 * time.Millisecond)
	d, into, asked := call(30, 1)
	if asked || d.Allowed || d.By.ID != "wary" || d.RetryAfter <= 0 || d.RetryAfter > time.Minute || into[0].Remaining != 70 || into[0].Granted != 0 {
		t.Errorf("out of memory: %+v, %+v", d, into)
	}
	if _, _, asked := call(70, 5); asked {
		t.Error("asked for costs of which it is known that one passes and one does not")
	}
	if d, _, asked := call(71, 1); !asked || d.Allowed {
		t.Errorf("not asked although nothing is known of 71 units: %+v", d)
	}
	if d, _, asked := call(71, 1); asked || d.Allowed {
		t.Errorf("two claims are refused: %+v", d)
	}
	if d, err := w.limiter.TakeAll(ctx, []stint.Claim{stint.NewClaim(roomy, "ip", 70)}, nil); err != nil || !d.Allowed {
		t.Errorf("the sibling alone: %+v, %v", d, err)
	}
	if _, _, asked := call(1, 1); !asked { // it has changed
		t.Error("not asked")
	}
}

func denyMany(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	w.want(1, false, true)
	before := len(w.inner.Calls())
	into := make([]stint.Result, 5)
	calls := []stint.Call{{Key: "a", N: 1}, {Key: "k", N: 1}, {Key: "b", N: 11}, {Key: "k", N: 3}, {Key: "c", N: 2}}
	if err := w.limiter.TakeMany(context.Background(), calls, into); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{1, 0, 0, 0, 2} {
		if into[i].Err != nil || into[i].Granted != want || into[i].Allowed != (want > 0) {
			t.Errorf("call %d: %+v", i, into[i])
		}
	}
	asked := w.inner.Calls()[before:]
	if len(asked) != 1 || len(asked[0].Claims) != 3 {
		t.Errorf("the store was asked %+v", asked)
	}
	calls = []stint.Call{{Key: "k", N: 1}, {Key: "b", N: 12}}
	if err := w.limiter.TakeMany(context.Background(), calls, into[:2]); err != nil || len(w.inner.Calls()) != before+1 {
		t.Errorf("asked for what is remembered; %v", err)
	}
}

func denyPeeks(t *testing.T) {
	w := newWary(t, deny.Options{})
	w.want(10, true, true)
	w.want(1, false, true)
	if err := w.other.Reset(context.Background(), "k"); err != nil {
		t.Fatal(err)
	}
	if d, err := w.limiter.Peek(context.Background(), "k", 1); err != nil || !d.Allowed || d.Remaining != 10 {
		t.Errorf("a peek: %+v, %v", d, err)
	}
	w.want(1, false, false) // and it changes nothing
}

func denyErrors(t *testing.T) {
	w := newWary(t, deny.Options{})
	for name, f := range map[string]fault.Fault{
		"silence": {Mute: true},
		"unknown": {Garble: func(o []stint.Outcome) { o[0].Granted, o[0].Mark = 0, o[0].Mark.Unknown() }},
		"lost":    {Garble: func(o []stint.Outcome) { o[0].Granted, o[0].Wait, o[0].Mark = 0, 5, o[0].Mark.Degraded() }},
	} {
		w.inner.Next(f)
		if allowed, asked := w.take(1); allowed || !asked {
			t.Errorf("%s: allowed %v, asked %v", name, allowed, asked)
		}
		w.want(1, true, true)
	}
	w.inner.Next(fault.Fault{Error: errDown})
	if _, err := w.limiter.Take(context.Background(), "k", 1); !errors.Is(err, errDown) {
		t.Error(err)
	}
	w.want(1, true, true)
}

func denyBounded(t *testing.T) {
	w := newWary(t, deny.Options{MaxKeys: 16})
	ctx := context.Background()
	for i := range 1000 {
		key := fmt.Sprint("k", i)
		if d, err := w.limiter.Take(ctx, key, 11); err != nil || d.Allowed {
			t.Fatalf("%s: %+v, %v", key, d, err)
		}
	}
	if st := w.store.Stats(); st.Held > 16 || st.Held < 8 || st.Displaced < 900 || st.Remembered != 1000 {
		t.Errorf("%+v", st)
	}
	time.Sleep(time.Second)
	if st := w.store.Stats(); st.Held != 0 {
		t.Errorf("%+v", st)
	}
}
