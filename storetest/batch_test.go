package storetest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batch"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/limittest/fault"
)

// memoryStore is a memory store on the clock, or on its own time if that is nil.
func memoryStore(t testing.TB, clock *limittest.Clock) *stint.Memory {
	t.Helper()
	var o stint.MemoryOptions
	if clock != nil {
		o.Clock = clock.Now
	}
	m, err := stint.NewMemory(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compiledLimit(t testing.TB, l stint.Limit) *stint.Limit {
	t.Helper()
	c, err := l.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// oneOfEachForm is a strategy of each form of state, for wrappers, to which strategies are all the same.
var oneOfEachForm = limittest.StoreOptions{
	Strategies: []stint.Strategy{stint.TokenBucket{}, stint.IntervalBucket{}, stint.SlidingLog{}, stint.Pacing{}},
}

// remaining is what is left of the key, asked of a store that must not fail.
func remaining(t testing.TB, store stint.Store, l *stint.Limit, key string) int64 {
	t.Helper()
	a, _, err := store.One(context.Background(), l, key, stint.LookOp(1))
	if err != nil {
		t.Fatal(err)
	}
	return a.Remaining
}

func batching(t testing.TB, inner stint.Store, o batch.Options) *batch.Store {
	t.Helper()
	s, err := batch.New(inner, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// yielding lets others run in the middle of every call, so that calls are merged even on a store that takes no time.
func yielding(fault.Call) fault.Fault {
	for range 3 {
		runtime.Gosched()
	}
	return fault.Fault{}
}

// The whole kit, linearizability among it, on a store whose calls are merged.
func TestBatch(t *testing.T) {
	var mu sync.Mutex
	var merged, left int64
	var opened []*batch.Store
	t.Cleanup(func() {
		for _, s := range opened {
			st := s.Stats()
			merged += st.Merged
			left += st.Queued
		}
		if merged < 1000 || left != 0 {
			t.Errorf("%d calls were merged, %d are still in line", merged, left)
		}
	})
	limittest.StoreWith(t, oneOfEachForm, func(t testing.TB, clock *limittest.Clock) stint.Store {
		inner := fault.New(memoryStore(t, clock))
		inner.Always(yielding)
		s := batching(t, inner, batch.Options{Shards: 1, MaxBatch: 5})
		mu.Lock()
		defer mu.Unlock()
		opened = append(opened, s)
		return s
	})
}

// queued is a line of callers behind a lone call that is held up.
type queued struct {
	store   *batch.Store
	inner   *fault.Store
	limit   *stint.Limit
	gate    chan struct{}
	first   sync.WaitGroup
	callers sync.WaitGroup
	granted []int64
	errs    []error
}

// queueUp makes a line, in a bubble: a caller for each cost, in this order, on a key of a limit of so many units a day.
func queueUp(t *testing.T, o batch.Options, units int64, costs []int64, contexts func(i int) context.Context) *queued {
	t.Helper()
	q := &queued{
		inner: fault.New(memoryStore(t, nil)), limit: compiledLimit(t, stint.PerDay(units)), gate: make(chan struct{}),
		granted: make([]int64, len(costs)), errs: make([]error, len(costs)),
	}
	o.Shards = 1
	q.store = batching(t, q.inner, o)
	q.inner.Next(fault.Fault{Gate: q.gate})
	q.first.Go(func() {
		if _, _, err := q.store.One(context.Background(), q.limit, "first", stint.TakeOp(1)); err != nil {
			t.Errorf("the lone call: %v", err)
		}
	})
	synctest.Wait()
	for i, cost := range costs {
		ctx := context.Background()
		if contexts != nil {
			ctx = contexts(i)
		}
		q.callers.Go(func() {
			a, _, err := q.store.One(ctx, q.limit, "k", stint.TakeOp(cost))
			q.granted[i], q.errs[i] = a.Granted, err
		})
		synctest.Wait()
	}
	return q
}

// open lets the lone call and so the line go on, and waits for all.
func (q *queued) open() {
	close(q.gate)
	q.first.Wait()
	q.callers.Wait()
}

// ones are so many costs of one unit.
func ones(n int) []int64 {
	costs := make([]int64, n)
	for i := range costs {
		costs[i] = 1
	}
	return costs
}

func TestBatchTraps(t *testing.T) {
	t.Run("P13_merged_calls_keep_what_is_theirs", func(t *testing.T) { synctest.Test(t, batchMerges) })
	t.Run("P15_who_leaves_the_line_charges_nothing", func(t *testing.T) { synctest.Test(t, batchWithdraws) })
	t.Run("P15_who_is_late_to_leave_charges_nothing", func(t *testing.T) { synctest.Test(t, batchLate) })
	t.Run("F14_who_leaves_under_way_stays_charged", func(t *testing.T) { synctest.Test(t, batchLeaves) })
	t.Run("F17_an_error_is_everybodys_own", func(t *testing.T) { synctest.Test(t, batchErrors) })
	t.Run("F17_silence_is_no_answer", func(t *testing.T) { synctest.Test(t, batchSilence) })
	t.Run("F17_a_lost_call_ends_with_the_latest_deadline", func(t *testing.T) { synctest.Test(t, batchDeadlines) })
	t.Run("F17_a_hung_lone_call_is_overtaken", func(t *testing.T) { synctest.Test(t, batchOvertakes) })
	t.Run("F17_a_panic_wedges_nothing", func(t *testing.T) { synctest.Test(t, batchPanics) })
	t.Run("F17_an_ended_goroutine_wedges_nothing", func(t *testing.T) { synctest.Test(t, batchGoexit) })
	t.Run("F17_close_leaves_nothing", func(t *testing.T) { synctest.Test(t, batchCloses) })
	t.Run("F19_a_full_line_says_so", func(t *testing.T) { synctest.Test(t, batchFull) })
	t.Run("P13_merged_calls_take_all_or_none", func(t *testing.T) { synctest.Test(t, batchAlls) })
	t.Run("F20_first_in_first_out", func(t *testing.T) { synctest.Test(t, batchOrder) })
	t.Run("F20_what_passes_on_sees_what_came_before", func(t *testing.T) { synctest.Test(t, batchPassesOn) })
}

// Merged calls of different cost on one key get what they would have got one by one in the order in which they came, and together
// take no more than there is.
func batchMerges(t *testing.T) {
	q := queueUp(t, batch.Options{}, 10, []int64{4, 5, 3, 1, 1, 11, 1}, nil)
	q.open()
	for i, want := range []int64{4, 5, 0, 1, 0, 0, 0} {
		if q.granted[i] != want || q.errs[i] != nil {
			t.Errorf("caller %d was granted %d (%v), want %d", i, q.granted[i], q.errs[i], want)
		}
	}
	calls := q.inner.Calls()
	if len(calls) != 2 || calls[0].Method != fault.One || calls[1].Method != fault.Many || len(calls[1].Claims) != 7 {
		t.Errorf("calls of the inner store: %+v", calls)
	}
	if st := q.store.Stats(); st != (batch.Stats{Direct: 1, Merged: 7, Batches: 1}) || q.inner.Most() != 1 {
		t.Errorf("%+v, %d at once", st, q.inner.Most())
	}
}

// batchOrder: in batches of at most MaxBatch.
func batchOrder(t *testing.T) {
	costs := make([]int64, 20)
	for i := range costs {
		costs[i] = int64(i + 1)
	}
	q := queueUp(t, batch.Options{MaxBatch: 6}, 1000, costs, nil)
	q.open()
	var order []int64
	for _, c := range q.inner.Calls()[1:] {
		if len(c.Claims) > 6 {
			t.Errorf("a call of %d claims", len(c.Claims))
		}
		for _, claim := range c.Claims {
			order = append(order, claim.Op.Max)
		}
	}
	if !slices.Equal(order, costs) {
		t.Errorf("served in the order %v", order)
	}
}

// batchWithdraws: whoever leaves before its claim was sent charges nothing and disturbs nobody.
func batchWithdraws(t *testing.T) {
	ctx, leave := context.WithCancel(context.Background())
	q := queueUp(t, batch.Options{}, 10, ones(5), func(i int) context.Context {
		if i == 1 || i == 3 {
			return ctx
		}
		return context.Background()
	})
	leave()
	synctest.Wait()
	q.open()
	for i, err := range q.errs {
		if gone := i == 1 || i == 3; gone != errors.Is(err, context.Canceled) || gone == (q.granted[i] == 1) {
			t.Errorf("caller %d was granted %d, %v", i, q.granted[i], err)
		}
	}
	if left := remaining(t, q.store, q.limit, "k"); left != 7 {
		t.Errorf("%d of 10 remain after 3 takes of 5", left)
	}
	if st := q.store.Stats(); st.Withdrawn != 2 || st.Merged+st.Direct != 5 {
		t.Errorf("%+v", st)
	}
}

// late is a context whose end its caller has not seen yet.
type late struct {
	context.Context
	ended atomic.Bool
}

func (l *late) Err() error {
	if l.ended.Load() {
		return context.Canceled
	}
	return nil
}

// batchLate: a claim whose caller's context has ended is not sent, even if the caller has not come to leave yet.
func batchLate(t *testing.T) {
	ctx := &late{Context: context.Background()}
	q := queueUp(t, batch.Options{}, 10, ones(3), func(i int) context.Context {
		if i == 1 {
			return ctx
		}
		return context.Background()
	})
	ctx.ended.Store(true)
	q.open()
	if !errors.Is(q.errs[1], context.Canceled) || !slices.Equal(q.granted, []int64{1, 0, 1}) {
		t.Errorf("granted %v, %v", q.granted, q.errs)
	}
	if left := remaining(t, q.store, q.limit, "k"); left != 8 {
		t.Errorf("%d of 10 remain after 2 takes of 3", left)
	}
}

// batchSilence: a store that says nothing grants nothing, least of all what it said to the callers before.
func batchSilence(t *testing.T) {
	q := queueUp(t, batch.Options{MaxBatch: 2}, 10, ones(4), nil)
	q.inner.Next(fault.Fault{}, fault.Fault{Mute: true})
	q.open()
	if !slices.Equal(q.granted, []int64{1, 1, 0, 0}) {
		t.Errorf("granted %v", q.granted)
	}
}

// batchLeaves: whoever leaves while its claim is under way gets its own context's error; the others wait on.
func batchLeaves(t *testing.T) {
	ctx, leave := context.WithCancel(context.Background())
	q := queueUp(t, batch.Options{}, 10, ones(3), func(i int) context.Context {
		if i == 1 {
			return ctx
		}
		return context.Background()
	})
	second := make(chan struct{})
	q.inner.Next(fault.Fault{Gate: second})
	close(q.gate)
	synctest.Wait()
	leave()
	synctest.Wait()
	if !errors.Is(q.errs[1], context.Canceled) {
		t.Errorf("who left got %v", q.errs[1])
	}
	close(second)
	q.callers.Wait()
	if q.granted[0] != 1 || q.granted[2] != 1 || q.errs[0] != nil || q.errs[2] != nil {
		t.Errorf("the others were granted %v, %v", q.granted, q.errs)
	}
	if left := remaining(t, q.store, q.limit, "k"); left != 7 {
		t.Errorf("%d of 10 remain after 3 takes, one of whose callers has left", left)
	}
	if st := q.store.Stats(); st.Left != 1 || st.Withdrawn != 0 {
		t.Errorf("%+v", st)
	}
}

// batchErrors: the error of one claim is its caller's, that of a whole call is that of all in it and of nobody else.
func batchErrors(t *testing.T) {
	errOne, errAll := errors.New("one"), errors.New("all")
	q := queueUp(t, batch.Options{MaxBatch: 3}, 10, ones(8), nil)
	q.inner.Next(
		fault.Fault{Garble: func(into []stint.Outcome) { into[1] = stint.Outcome{Err: errOne} }},
		fault.Fault{After: errAll},
	)
	q.open()
	for i, want := range []error{nil, errOne, nil, errAll, errAll, errAll, nil, nil} {
		if !errors.Is(q.errs[i], want) || (want == nil) != (q.granted[i] == 1) {
			t.Errorf("caller %d was granted %d, %v; want the error %v", i, q.granted[i], q.errs[i], want)
		}
	}
}

// batchDeadlines: a merged call goes on until the latest deadline of its callers, and not for longer than Timeout.
func batchDeadlines(t *testing.T) {
	for _, c := range []struct {
		deadlines []time.Duration // of the callers; 0 is none
		want      time.Duration
	}{
		{[]time.Duration{time.Millisecond, 30 * time.Millisecond, 20 * time.Millisecond}, 30 * time.Millisecond},
		{[]time.Duration{time.Millisecond, 0}, time.Second},
		{[]time.Duration{time.Hour, time.Millisecond}, time.Second},
	} {
		begun := time.Now()
		q := queueUp(t, batch.Options{}, 10, ones(len(c.deadlines)), func(i int) context.Context {
			ctx := context.Background()
			if d := c.deadlines[i]; d > 0 {
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, d)
				t.Cleanup(cancel)
			}
			return ctx
		})
		q.inner.Next(fault.Fault{Lost: true})
		q.open()
		if took := time.Since(begun); took != c.want {
			t.Errorf("deadlines %v: the last caller waited %v, want %v", c.deadlines, took, c.want)
		}
		for i, err := range q.errs {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("caller %d: %v", i, err)
			}
		}
		if d := q.inner.Calls()[1].Deadline.Sub(begun); d != c.want {
			t.Errorf("deadlines %v: the call's is %v, want %v", c.deadlines, d, c.want)
		}
	}
}

// batchOvertakes: a lone call without a deadline holds up its shard for Timeout and not for ever.
func batchOvertakes(t *testing.T) {
	begun := time.Now()
	q := queueUp(t, batch.Options{Timeout: 40 * time.Millisecond}, 10, ones(3), nil)
	q.callers.Wait()
	if took := time.Since(begun); took != 40*time.Millisecond || !slices.Equal(q.granted, ones(3)) {
		t.Errorf("after %v the callers were granted %v", took, q.granted)
	}
	if left := remaining(t, q.store, q.limit, "k"); left != 7 {
		t.Errorf("%d remain", left)
	}
	close(q.gate)
	q.first.Wait()
	if left := remaining(t, q.store, q.limit, "k"); left != 7 { // the shard is in order
		t.Errorf("%d remain", left)
	}
	if st := q.store.Stats(); st.Overtaken != 1 || st.Merged+st.Direct != 6 {
		t.Errorf("%+v", st)
	}
}

// batchPanics: a panic is an error for the callers of that call, alone or merged.
func batchPanics(t *testing.T) {
	broken := errors.New("out of order")
	q := queueUp(t, batch.Options{MaxBatch: 2}, 10, ones(5), nil)
	q.inner.Next(fault.Fault{}, fault.Fault{Panic: broken})
	q.open()
	for i, err := range q.errs {
		var panicked *batch.PanicError
		if bad := i == 2 || i == 3; bad != errors.As(err, &panicked) || bad != errors.Is(err, broken) {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	q.inner.Next(fault.Fault{Panic: "again"})
	if _, _, err := q.store.One(context.Background(), q.limit, "k", stint.TakeOp(1)); err == nil {
		t.Error("a lone call that panics has no error")
	}
	if left := remaining(t, q.store, q.limit, "k"); left != 7 {
		t.Errorf("%d remain", left)
	}
	if st := q.store.Stats(); st.Panics != 2 {
		t.Errorf("%+v", st)
	}
}

// batchGoexit: neither does it wedge the shard if the inner store ends the goroutine, as t.FailNow in a test's store does.
func batchGoexit(t *testing.T) {
	q := queueUp(t, batch.Options{MaxBatch: 2}, 10, ones(4), nil)
	var calls atomic.Int64
	q.inner.Always(func(fault.Call) fault.Fault {
		if calls.Add(1) == 1 {
			runtime.Goexit()
		}
		return fault.Fault{}
	})
	q.open()
	for i, err := range q.errs {
		if (i < 2) != (err != nil) {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if err := q.store.Close(); err != nil {
		t.Error(err)
	}
}

// batchCloses: Close turns the line away, and waits for what is under way.
func batchCloses(t *testing.T) {
	q := queueUp(t, batch.Options{}, 10, ones(3), nil)
	closed := make(chan error, 1)
	go func() { closed <- q.store.Close() }()
	synctest.Wait()
	select {
	case err := <-closed:
		t.Errorf("closed (%v) while a call is under way", err)
	default:
	}
	q.callers.Wait()
	for i, err := range q.errs {
		if !errors.Is(err, stint.ErrClosed) {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	close(q.gate)
	q.first.Wait()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if calls := q.inner.Calls(); len(calls) != 1 {
		t.Errorf("%d calls of the inner store", len(calls))
	}
}

// batchFull: one caller more than the line holds gets an error at once, charges nothing and is counted.
func batchFull(t *testing.T) {
	q := queueUp(t, batch.Options{MaxQueue: 3}, 10, ones(5), nil)
	if !errors.Is(q.errs[3], batch.ErrFull) || !errors.Is(q.errs[4], batch.ErrFull) {
		t.Errorf("the fourth and fifth in a line of three got %v", q.errs[3:])
	}
	q.open()
	if left := remaining(t, q.store, q.limit, "k"); left != 7 {
		t.Errorf("%d of 10 remain after 3 takes", left)
	}
	if st := q.store.Stats(); st.Full != 2 {
		t.Errorf("%+v", st)
	}
}

// batchAlls: calls with several claims that stand in line are decided in one go, each all or none, in the order in which they came,
// and take turns with those of one claim. What belongs to a caller who has left is not touched.
func batchAlls(t *testing.T) {
	q := queueUp(t, batch.Options{}, 10, ones(2), nil)
	other := compiledLimit(t, stint.PerHour(4))
	costs := []int64{3, 2, 1, 1}
	into := make([][]stint.Outcome, len(costs))
	errs := make([]error, len(costs))
	leaving, leave := context.WithCancel(context.Background())
	for i, cost := range costs {
		claims := []stint.Claim{stint.NewClaim(q.limit, "k", cost), stint.NewClaim(other, "k", cost)}
		into[i] = make([]stint.Outcome, 2)
		ctx := context.Background()
		if i == 3 {
			ctx = leaving
		}
		q.callers.Go(func() { errs[i] = q.store.All(ctx, claims, into[i]) })
		synctest.Wait()
	}
	gate := make(chan struct{})
	q.inner.Next(fault.Fault{}) // the line's calls of one claim
	q.inner.Next(fault.Fault{Gate: gate})
	close(q.gate)
	synctest.Wait()
	leave()
	synctest.Wait()
	close(gate)
	q.first.Wait()
	q.callers.Wait()
	for i, want := range []struct{ first, second int64 }{{3, 3}, {2, 0}, {1, 1}} {
		if errs[i] != nil || into[i][0].Granted != want.first || into[i][1].Granted != want.second {
			t.Errorf("call %d: %+v, %v; want %v", i, into[i], errs[i], want)
		}
	}
	if !errors.Is(errs[3], context.Canceled) || into[3][0] != (stint.Outcome{}) {
		t.Errorf("who left: %+v, %v", into[3], errs[3])
	}
	if !slices.Equal(q.granted, []int64{1, 1}) {
		t.Errorf("calls of one claim were granted %v", q.granted)
	}
	if st := q.store.Stats(); st.Batches != 2 || st.Merged != 6 || st.Left != 1 {
		t.Errorf("%+v", st)
	}
	if left := remaining(t, q.store, q.limit, "k"); left != 4 { // 10 but 1, 1, 3 and 1
		t.Errorf("%d of 10 remain", left)
	}
}

// batchPassesOn: what is not merged does not wait for the line, and sees all that was answered before it came.
func batchPassesOn(t *testing.T) {
	q := queueUp(t, batch.Options{}, 10, ones(2), nil)
	ctx := context.Background()
	claims, into := []stint.Claim{stint.NewClaim(q.limit, "k", 9)}, make([]stint.Outcome, 1)
	if err := q.store.Many(ctx, claims, into); err != nil || into[0].Granted != 9 {
		t.Errorf("many: %+v, %v", into, err)
	}
	at := into[0].Mark.At()
	q.open()
	if !slices.Equal(q.granted, []int64{1, 0}) {
		t.Errorf("the line was granted %v", q.granted)
	}
	if a, _, err := q.store.Refund(ctx, q.limit, "k", stint.RefundOp(9, at), 7); err != nil || a.Granted != 9 {
		t.Errorf("refund: %+v, %v", a, err)
	}
	if left := remaining(t, q.store, q.limit, "k"); left != 9 {
		t.Errorf("%d remain after the refund", left)
	}
	if err := q.store.Block(ctx, q.limit, "k", time.Hour); err != nil {
		t.Error(err)
	}
	if left := remaining(t, q.store, q.limit, "k"); left != 0 {
		t.Errorf("%d remain of a blocked key", left)
	}
	if err := q.store.Many(ctx, claims, into); err != nil || into[0].Granted != 0 {
		t.Errorf("many: %+v, %v", into, err)
	}
	// A caller who comes while the runner looks once more at an empty line is merged, too, alone.
	if st := q.store.Stats(); st.Merged < 2 || st.Merged+st.Direct != 5 {
		t.Errorf("%+v", st)
	}
}
