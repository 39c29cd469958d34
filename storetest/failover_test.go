package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/limittest/fault"
	"go.uber.org/goleak"
)

var errDown = errors.New("connection refused")

func surviving(t testing.TB, inner stint.Store, o failover.Options) *failover.Store {
	t.Helper()
	s, err := failover.New(inner, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// While its store is there the wrapper is nothing but it.
func TestFailover(t *testing.T) {
	limittest.StoreWith(t, oneOfEachForm, func(t testing.TB, clock *limittest.Clock) stint.Store {
		return surviving(t, memoryStore(t, clock), failover.Options{Timeout: time.Hour})
	})
}

// A share is an exact store of its own: on random traces every answer is that of a memory store with the share as its limit.
func TestFailoverShareIsExact(t *testing.T) {
	for _, strategy := range limittest.Strategies() {
		t.Run(strategy.Name(), func(t *testing.T) {
			clock := new(limittest.Clock)
			inner := fault.New(memoryStore(t, nil))
			inner.Down(errDown)
			store := surviving(t, inner, failover.Options{Default: failover.Local, Instances: 1, Failures: 1, Retry: time.Hour, Clock: clock.Now})
			defer store.Close()
			model := memoryStore(t, clock)
			limit := compiledLimit(t, stint.Limit{Units: 10, Per: time.Second, Strategy: strategy, ID: "share"})
			random := rand.New(rand.NewPCG(1, 2))
			for step := range 2000 {
				key := fmt.Sprint("k", random.IntN(3))
				op := []stint.Op{
					stint.TakeOp(1 + random.Int64N(4)), stint.UpToOp(1 + random.Int64N(12)), stint.LookOp(1 + random.Int64N(12)),
				}[random.IntN(3)]
				got, mark, err := store.One(t.Context(), limit, key, op)
				want, _, _ := model.One(t.Context(), limit, key, op)
				if got != want || err != nil || mark != mark.Degraded() {
					t.Fatalf("step %d: %+v: %+v (%v), want %+v", step, op, got, err, want)
				}
				clock.Advance(random.Int64N(200_000))
			}
		})
	}
}

// fleet is a store that can be lost and one limiter on it for each limit.
type fleet struct {
	t       *testing.T
	memory  *stint.Memory
	inner   *fault.Store
	store   *failover.Store
	limiter map[string]*stint.Limiter
}

// newFleet makes one in a bubble: limits "closed", "open" and "local" of 10 units a day with the choice of that name.
func newFleet(t *testing.T, o failover.Options) *fleet {
	t.Helper()
	f := &fleet{t: t, memory: memoryStore(t, nil), limiter: map[string]*stint.Limiter{}}
	f.inner = fault.New(f.memory)
	o.Choices = map[string]failover.Choice{"open": failover.Open, "local": failover.Local}
	if o.Instances == 0 {
		o.Instances = 2
	}
	f.store = surviving(t, f.inner, o)
	f.limits()
	return f
}

func (f *fleet) limits() {
	for _, id := range []string{"closed", "open", "local"} {
		l, err := stint.NewWith(stint.Options{Store: f.store}, stint.PerDay(10).WithID(id))
		if err != nil {
			f.t.Fatal(err)
		}
		f.limiter[id] = l
	}
}

func (f *fleet) take(id, key string, n int64) stint.Decision {
	f.t.Helper()
	d, err := f.limiter[id].Take(context.Background(), key, n)
	if err != nil {
		f.t.Fatalf("%s: take %d of %s: %v", id, n, key, err)
	}
	return d
}

func (f *fleet) limit(id string) *stint.Limit { return f.limiter[id].Limits()[0] }

// lose makes the store lost by failing calls, each after the other.
func (f *fleet) lose() {
	f.t.Helper()
	f.inner.Down(errDown)
	for range 5 {
		f.take("closed", "losing", 1)
	}
	if !f.store.Stats().Lost {
		f.t.Fatalf("not lost after five failures: %+v", f.store.Stats())
	}
}

// back lets the store be there again and waits until it was probed.
func (f *fleet) back() {
	f.t.Helper()
	f.inner.Down(nil)
	time.Sleep(time.Second)
	synctest.Wait()
	if st := f.store.Stats(); st.Lost {
		f.t.Fatalf("still lost: %+v", st)
	}
}

func (f *fleet) close() {
	f.t.Helper()
	if err := f.store.Close(); err != nil {
		f.t.Error(err)
	}
}

func TestFailoverTraps(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"law11_each_limit_has_its_choice":                 failoverChoices,
		"law11_grace_ends":                                failoverGrace,
		"law11_choices_change_live":                       failoverChanges,
		"law11_instances_change_live":                     failoverInstances,
		"F17_losses_and_returns_are_told_in_turn":         failoverTells,
		"F15_what_shares_granted_is_charged":              failoverSettles,
		"P14_what_shares_granted_is_charged_when_idle":    failoverSettlesIdle,
		"P14_what_cannot_be_charged_is_not_forgotten":     failoverSettlesAgain,
		"F15_old_units_do_not_count_for_ever":             failoverSettlesWhatCounts,
		"F15_shares_of_all_instances_hold_their_bound":    failoverBound,
		"F15_flickering_fills_no_share":                   failoverFlickers,
		"F15_no_receipt_for_what_the_store_never_took":    failoverReceipts,
		"F17_slow_or_hung_is_bounded":                     failoverBounded,
		"F17_nobody_waits_for_a_lost_store":               failoverNobodyWaits,
		"F17_the_store_may_be_absent_at_the_start":        failoverAbsent,
		"F17_the_first_calls_wait_for_the_store_to_open":  failoverOpens,
		"F17_close_leaves_nothing":                        failoverCloses,
		"F17_callers_who_leave_are_no_failure":            failoverCallersLeave,
		"F17_a_flaw_of_one_claim_is_its_own":              failoverMany,
		"F17_waiters_come_back_when_the_store_does":       failoverWaits,
		"F19_the_ledger_is_bounded":                       failoverLedger,
		"P1_all_or_nothing_without_the_store":             failoverAll,
		"P9_never_is_never_without_the_store":             failoverNever,
		"P19_a_denial_is_no_failure":                      failoverDenials,
		"P19_a_success_between_failures_is_no_loss":       failoverRow,
		"P19_probes_are_few_and_have_to_succeed_in_a_row": failoverProbes,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

func failoverChoices(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	for _, id := range []string{"closed", "open", "local"} {
		if d := f.take(id, "k", 3); !d.Allowed || d.Reason != stint.Admitted || d.Remaining != 7 {
			t.Errorf("%s with the store: %+v", id, d)
		}
	}
	f.lose()
	if d := f.take("closed", "k", 1); d.Allowed || d.Reason != stint.Degraded || d.RetryAfter != stint.Unknown || d.Remaining != 0 {
		t.Errorf("closed: %+v", d)
	}
	for range 20 {
		if d := f.take("open", "k", 4); !d.Allowed || d.Reason != stint.Degraded || d.Granted != 4 || d.Remaining > d.Limit {
			t.Errorf("open: %+v", d)
		}
	}
	for i := range 7 { // a share of five, full at the beginning
		d := f.take("local", "k", 1)
		if d.Allowed != (i < 5) || d.Reason != stint.Degraded || i < 5 && d.Remaining != int64(4-i) {
			t.Errorf("local, take %d: %+v", i, d)
		}
		if !d.Allowed && (d.RetryAfter <= 0 || d.RetryAfter > 24*time.Hour) {
			t.Errorf("a share knows when it has room: %+v", d)
		}
	}
	for _, id := range []string{"closed", "open", "local"} {
		p, err := f.limiter[id].Peek(context.Background(), "k", 1)
		if err != nil || p.Allowed != (id == "open") {
			t.Errorf("%s: a peek says %+v, %v", id, p, err)
		}
		for what, err := range map[string]error{
			"credit": f.limiter[id].Credit(context.Background(), "k", 1),
			"charge": f.limiter[id].Charge(context.Background(), "k", 1),
			"reset":  f.limiter[id].Reset(context.Background(), "k"),
			"block":  f.limiter[id].Block(context.Background(), "k", time.Hour),
		} {
			if !errors.Is(err, failover.ErrLost) || !errors.Is(err, errDown) {
				t.Errorf("%s: %s: %v", id, what, err)
			}
		}
	}
	f.back()
	if d := f.take("closed", "k", 1); !d.Allowed || d.Reason != stint.Admitted || d.Remaining != 6 {
		t.Errorf("closed, with the store again: %+v", d)
	}
	if st := f.store.Stats(); st.Losses != 1 || st.Open != 21 || st.Local != 5 || st.LocalRefused != 2 || st.Closed != 7 || st.Undone != 12 {
		t.Errorf("%+v", st)
	}
}

func failoverGrace(t *testing.T) {
	f := newFleet(t, failover.Options{Grace: time.Minute, Retry: time.Hour})
	defer f.close()
	f.lose()
	time.Sleep(time.Minute)
	if !f.take("open", "k", 1).Allowed || !f.take("local", "k", 1).Allowed {
		t.Error("refused within the grace")
	}
	time.Sleep(time.Nanosecond)
	for _, id := range []string{"open", "local"} {
		if d := f.take(id, "k", 1); d.Allowed || d.RetryAfter != stint.Unknown {
			t.Errorf("%s after the grace: %+v", id, d)
		}
	}
}

func failoverChanges(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.lose()
	if err := f.store.SetChoices(map[string]failover.Choice{"closed": failover.Open}); err != nil {
		t.Fatal(err)
	}
	if !f.take("closed", "k", 1).Allowed || f.take("open", "k", 1).Allowed {
		t.Error("the choices are the old ones")
	}
}

// Of 10 a day two instances have 5 each, and five have 2: a share that has given 2 of 5, which is 1 of 2, has one left.
func failoverInstances(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.lose()
	if d := f.take("local", "k", 2); !d.Allowed || d.Remaining != 3 {
		t.Errorf("as one of two: %+v", d)
	}
	if err := f.store.SetInstances(5); err != nil {
		t.Fatal(err)
	}
	if !f.take("local", "k", 1).Allowed || f.take("local", "k", 1).Allowed {
		t.Error("as one of five it does not have one more")
	}
	if f.store.SetInstances(0) == nil || f.store.SetInstances(-1) == nil {
		t.Error("shares of unknown size are accepted")
	}
}

func failoverTells(t *testing.T) {
	var told []string
	tell := func(lost bool, cause error) { told = append(told, fmt.Sprint(lost, " ", cause)) }
	f := newFleet(t, failover.Options{OnChange: tell})
	for range 2 {
		f.lose()
		for range 10 {
			f.take("open", "k", 1)
			time.Sleep(100 * time.Millisecond)
		}
		f.back()
		f.take("closed", "k", 1)
	}
	f.close()
	want := []string{"true connection refused", "false <nil>", "true connection refused", "false <nil>"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	told = nil
	away := surviving(t, nil, failover.Options{OnChange: tell, Open: func(context.Context) (stint.Store, error) { return nil, errDown }})
	time.Sleep(5 * time.Second)
	if err := away.Close(); err != nil || len(told) != 1 || told[0] != "true connection refused" {
		t.Errorf("of a store that is not there: told %q, %v", told, err)
	}
}

func failoverSettles(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.take("local", "k", 8)
	f.lose()
	for i := range 200 { // more than one call's worth of keys
		f.take("local", fmt.Sprint("k", i), 2)
	}
	f.take("local", "k", 3)
	f.take("local", "k", 1)
	if st := f.store.Stats(); st.Owed != 201 {
		t.Errorf("%+v", st)
	}
	f.back()
	for i := range 200 {
		if left := remaining(t, f.memory, f.limit("local"), fmt.Sprint("k", i)); left != 8 {
			t.Fatalf("k%d: %d of 10 remain after 2", i, left)
		}
	}
	// 8 and 4 of 10: in debt, regardless.
	if left := remaining(t, f.memory, f.limit("local"), "k"); left != 0 {
		t.Errorf("%d of 10 remain after 12", left)
	}
	if st := f.store.Stats(); st.Owed != 0 || st.Charged != 404 {
		t.Errorf("%+v", st)
	}
}

func failoverSettlesIdle(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.lose()
	f.take("local", "k", 4)
	f.inner.Down(nil)
	time.Sleep(time.Second) // and nobody calls
	synctest.Wait()
	if left := remaining(t, f.memory, f.limit("local"), "k"); left != 6 {
		t.Errorf("%d of 10 remain after 4", left)
	}
	// A single call that fails is decided by the share while the store is whole; its unit is charged, too.
	f.inner.Next(fault.Fault{Error: errDown})
	if d := f.take("local", "other", 1); !d.Allowed || d.Reason != stint.Degraded {
		t.Errorf("%+v", d)
	}
	synctest.Wait()
	if left := remaining(t, f.memory, f.limit("local"), "other"); left != 9 {
		t.Errorf("%d of 10 remain after 1", left)
	}
	// So it is if the charge fails at first, although nothing else calls for it.
	f.inner.Next(fault.Fault{Error: errDown}, fault.Fault{Error: errDown})
	f.take("local", "other", 1)
	time.Sleep(time.Second)
	synctest.Wait()
	if left := remaining(t, f.memory, f.limit("local"), "other"); left != 8 {
		t.Errorf("%d of 10 remain after 2", left)
	}
	if st := f.store.Stats(); st.Losses != 1 || st.Owed != 0 {
		t.Errorf("%+v", st)
	}
}

func failoverSettlesAgain(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.lose()
	for i := range 100 {
		f.take("local", fmt.Sprint("k", i), 4)
	}
	var failed atomic.Int64
	f.inner.Always(func(c fault.Call) fault.Fault { // the first charges fail, as a whole and one by one
		if c.Method != fault.Many {
			return fault.Fault{}
		}
		switch failed.Add(1) {
		case 1:
			return fault.Fault{Error: errDown}
		case 2:
			return fault.Fault{Garble: func(o []stint.Outcome) { o[3].Err = errDown }}
		}
		return fault.Fault{}
	})
	time.Sleep(10 * time.Second)
	synctest.Wait()
	f.inner.Always(nil)
	left := map[int64]int{}
	for i := range 100 {
		left[remaining(t, f.memory, f.limit("local"), fmt.Sprint("k", i))]++
	}
	if left[6] != 99 || left[2] != 1 { // what took effect although it failed is charged twice
		t.Errorf("what remains of 10 after 4, and how often: %v", left)
	}
	if st := f.store.Stats(); st.Owed != 0 || st.Charged != 400 || st.Lost {
		t.Errorf("%+v", st)
	}
}

// failoverSettlesWhatCounts: units that time has given back are not charged, or a long loss would end in a long debt.
func failoverSettlesWhatCounts(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	l, err := stint.NewWith(stint.Options{Store: f.store}, stint.PerSecond(10).WithBurst(10).WithID("local"))
	if err != nil {
		t.Fatal(err)
	}
	f.lose()
	admitted := 0
	for range 600 { // a minute of all that the share gives: 5 and 5 a second
		time.Sleep(100 * time.Millisecond)
		if l.Allow("k") {
			admitted++
		}
	}
	if admitted < 300 || admitted > 305 {
		t.Errorf("the share admitted %d in a minute", admitted)
	}
	f.inner.Down(nil)
	time.Sleep(500 * time.Millisecond)
	synctest.Wait()
	st := f.store.Stats()
	if st.Charged < 1 || st.Charged > 5 {
		t.Errorf("%d units charged of a share of 5", st.Charged)
	}
	time.Sleep(time.Second)
	if !l.Allow("k") {
		t.Error("refused a second after the store came back")
	}
}

// failoverBound: while the store is lost instances together admit no more than the limit, and over the loss its capacity once more.
func failoverBound(t *testing.T) {
	const instances, burst, rate = 4, 20, 10
	memory := memoryStore(t, nil)
	var inners []*fault.Store
	var stores []*failover.Store
	var limiters []*stint.Limiter
	for range instances {
		inner := fault.New(memory)
		store := surviving(t, inner, failover.Options{Default: failover.Local, Instances: instances})
		l, err := stint.NewWith(stint.Options{Store: store}, stint.PerSecond(rate).WithBurst(burst))
		if err != nil {
			t.Fatal(err)
		}
		inners, stores, limiters = append(inners, inner), append(stores, store), append(limiters, l)
	}
	var events, lostEvents []limittest.Event
	limit := limiters[0].Limits()[0]
	step := func(lost bool) {
		for i := range 3 * instances {
			if limiters[i%instances].Allow("k") {
				e := limittest.Event{At: time.Now().UnixMicro(), Units: 1}
				events = append(events, e)
				if lost {
					lostEvents = append(lostEvents, e)
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	for range 50 {
		step(false)
	}
	for _, inner := range inners {
		inner.Down(errDown)
	}
	for range 500 {
		step(true)
	}
	for _, inner := range inners {
		inner.Down(nil)
	}
	for range 500 {
		step(false)
	}
	if len(lostEvents) < 90 { // 20 and 10 a second for ten seconds
		t.Errorf("only %d admitted in ten seconds without the store", len(lostEvents))
	}
	if err := limittest.NeverOver(limit, lostEvents); err != nil {
		t.Errorf("without the store: %v", err)
	}
	// The store's own capacity, the shares', and until the last instance has charged its units what the first finds in the store.
	if err := limittest.NeverOver(compiledLimit(t, stint.PerSecond(rate).WithBurst(3*burst)), events); err != nil {
		t.Errorf("over the loss: %v", err)
	}
	if most := 2*burst + rate*21; len(events) > most { // a second, ten and ten
		t.Errorf("over the loss %d were admitted, at most %d allowed", len(events), most)
	}
	for _, s := range stores {
		if st := s.Stats(); st.Owed != 0 || st.Charged == 0 || st.Lost {
			t.Errorf("%+v", st)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func failoverFlickers(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	admitted := 0
	for range 10 {
		f.lose()
		for range 10 {
			if f.take("local", "k", 1).Allowed {
				admitted++
			}
		}
		f.back()
	}
	if admitted != 5 {
		t.Errorf("a share of 5 a day admitted %d over ten losses", admitted)
	}
}

func failoverReceipts(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	ctx := context.Background()
	f.take("open", "k", 6)
	taken := f.take("open", "k", 1)
	f.lose()
	for _, id := range []string{"open", "local"} {
		d := f.take(id, "k", 3)
		if _, ok := d.Receipt(); ok {
			t.Errorf("%s: a receipt for %+v", id, d)
		}
		r, err := f.limiter[id].Reserve(ctx, "k", 1)
		if err != nil || !r.Decision.Allowed {
			t.Fatalf("%s: reserve: %v", id, err)
		}
		f.back()
		if err := r.Cancel(ctx); err != nil {
			t.Errorf("%s: cancel: %v", id, err)
		}
		f.lose()
	}
	receipt, ok := taken.Receipt()
	if !ok {
		t.Fatal("no receipt for what the store took")
	}
	if _, err := f.limiter["open"].Refund(ctx, receipt); !errors.Is(err, failover.ErrLost) {
		t.Errorf("a refund to a lost store: %v", err)
	}
	f.back()
	if left := remaining(t, f.memory, f.limit("open"), "k"); left != 3 {
		t.Errorf("open: %d of 10 remain after 7", left)
	}
	if left := remaining(t, f.memory, f.limit("local"), "k"); left != 6 {
		t.Errorf("local: %d of 10 remain after 4", left)
	}
	if n, err := f.limiter["open"].Refund(ctx, receipt); n != 1 || err != nil {
		t.Errorf("the refund with the store: %d, %v", n, err)
	}
}

func failoverBounded(t *testing.T) {
	for name, slow := range map[string]fault.Fault{
		"slow": {Delay: time.Hour}, "hung": {Hang: true}, "lost after it took effect": {Lost: true}, "error after it took effect": {After: errDown},
		"error": {Error: errDown},
	} {
		f := newFleet(t, failover.Options{Timeout: 30 * time.Millisecond})
		f.inner.Always(func(fault.Call) fault.Fault { return slow })
		for i := range 5 {
			begun := time.Now()
			if d := f.take("open", "k", 1); !d.Allowed || d.Reason != stint.Degraded {
				t.Errorf("%s: %+v", name, d)
			}
			want := 30 * time.Millisecond
			if slow.Error != nil || slow.After != nil {
				want = 0
			}
			if took := time.Since(begun); took != want {
				t.Errorf("%s: call %d took %v, want %v", name, i, took, want)
			}
		}
		if st := f.store.Stats(); !st.Lost || st.Failures != 5 {
			t.Errorf("%s: %+v", name, st)
		}
		f.close()
	}
}

func failoverNobodyWaits(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.inner.Always(func(fault.Call) fault.Fault { return fault.Fault{Hang: true} })
	for range 5 {
		f.take("closed", "k", 1)
	}
	for range 100 {
		begun := time.Now()
		f.take("local", "k", 1)
		if time.Since(begun) != 0 {
			t.Fatal("a call waits for a lost store")
		}
		time.Sleep(90 * time.Millisecond)
	}
	if f.inner.Most() != 1 {
		t.Errorf("%d calls at once", f.inner.Most())
	}
}

func failoverAbsent(t *testing.T) {
	memory := memoryStore(t, nil)
	tries := 0
	f := &fleet{t: t, memory: memory, inner: fault.New(memory), limiter: map[string]*stint.Limiter{}}
	f.store = surviving(t, nil, failover.Options{
		Choices: map[string]failover.Choice{"open": failover.Open, "local": failover.Local}, Instances: 2,
		Open: func(context.Context) (stint.Store, error) {
			if tries++; tries < 4 {
				return nil, errDown
			}
			return f.inner, nil
		},
	})
	defer f.close()
	f.limits()
	begun := time.Now()
	if f.take("closed", "k", 1).Allowed || !f.take("open", "k", 1).Allowed || !f.take("local", "k", 2).Allowed {
		t.Error("the choices do not hold before the store was opened")
	}
	if took := time.Since(begun); took != 0 {
		t.Errorf("the calls took %v", took)
	}
	if st := f.store.Stats(); !st.Lost || !errors.Is(st.Cause, errDown) {
		t.Errorf("%+v", st)
	}
	time.Sleep(3 * 500 * time.Millisecond)
	synctest.Wait()
	if d := f.take("closed", "k", 1); !d.Allowed || d.Reason != stint.Admitted || tries != 4 {
		t.Errorf("after %d tries to open the store: %+v", tries, d)
	}
	if left := remaining(t, memory, f.limit("local"), "k"); left != 8 {
		t.Errorf("%d of 10 remain after 2", left)
	}
}

func failoverOpens(t *testing.T) {
	memory := memoryStore(t, nil)
	s := surviving(t, nil, failover.Options{Timeout: 50 * time.Millisecond, Open: func(context.Context) (stint.Store, error) {
		time.Sleep(20 * time.Millisecond)
		return memory, nil
	}})
	defer s.Close()
	limit := compiledLimit(t, stint.PerDay(10))
	begun := time.Now()
	a, _, err := s.One(context.Background(), limit, "k", stint.TakeOp(1))
	if took := time.Since(begun); a.Granted != 1 || err != nil || took != 20*time.Millisecond {
		t.Errorf("the first call: %+v, %v after %v", a, err, took)
	}
	hung := surviving(t, nil, failover.Options{Timeout: 50 * time.Millisecond, Open: func(ctx context.Context) (stint.Store, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	begun = time.Now()
	_, m, err := hung.One(context.Background(), limit, "k", stint.TakeOp(1))
	if took := time.Since(begun); err != nil || m&m.Unknown() != m || took != 50*time.Millisecond {
		t.Errorf("while the store does not open: %v, %v after %v", m, err, took)
	}
	if err := hung.Close(); err != nil {
		t.Error(err)
	}
}

func failoverCloses(t *testing.T) {
	before := goleak.IgnoreCurrent()
	f := newFleet(t, failover.Options{})
	f.lose()
	f.take("local", "k", 2)
	f.close()
	f.close()
	if _, _, err := f.store.One(context.Background(), f.limit("open"), "k", stint.TakeOp(1)); !errors.Is(err, stint.ErrClosed) {
		t.Errorf("a closed store answers %v", err)
	}
	// What is owed when the store is there is charged by Close itself.
	g := newFleet(t, failover.Options{})
	g.inner.Always(func(c fault.Call) fault.Fault {
		if c.Method == fault.One {
			return fault.Fault{Error: errDown}
		}
		return fault.Fault{}
	})
	g.take("local", "k", 2)
	g.close()
	calls := g.inner.Calls()
	if last := calls[len(calls)-1]; last.Method != fault.Many || last.Claims[0].Op != stint.ChargeOp(2) {
		t.Errorf("the last call of the store is %+v", last)
	}
	goleak.VerifyNone(t, before)
}

func failoverCallersLeave(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.inner.Always(func(fault.Call) fault.Fault { return fault.Fault{Hang: true} })
	for range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		_, err := f.limiter["open"].Take(ctx, "k", 1)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a caller whose context ended got %v", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.limiter["open"].Take(ctx, "k", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller whose context had ended got %v", err)
	}
	if st := f.store.Stats(); st.Lost || st.Failures != 0 {
		t.Errorf("%+v", st)
	}
}

func failoverMany(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	into := make([]stint.Result, 3)
	calls := []stint.Call{{Key: "a", N: 1}, {Key: "b", N: 1}, {Key: "c", N: 1}}
	f.inner.Next(fault.Fault{Garble: func(o []stint.Outcome) { o[1] = stint.Outcome{Err: errDown} }})
	if err := f.limiter["open"].TakeMany(context.Background(), calls, into); err != nil {
		t.Fatal(err)
	}
	for i, want := range []stint.Reason{stint.Admitted, stint.Degraded, stint.Admitted} {
		if r := into[i]; r.Err != nil || !r.Allowed || r.Reason != want {
			t.Errorf("call %d: %+v", i, r)
		}
	}
	f.inner.Always(func(fault.Call) fault.Fault { // the probe's calls, too
		return fault.Fault{Garble: func(o []stint.Outcome) {
			for i := range o {
				o[i] = stint.Outcome{Err: errDown}
			}
		}}
	})
	for range 5 {
		if err := f.limiter["local"].TakeMany(context.Background(), calls, into); err != nil || into[2].Reason != stint.Degraded {
			t.Fatalf("%+v, %v", into, err)
		}
	}
	if st := f.store.Stats(); st.Losses == 0 || st.Failures < 5 {
		t.Errorf("%+v", st)
	}
}

func failoverWaits(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.lose()
	done := make(chan error, 1)
	go func() { done <- f.limiter["closed"].Wait(context.Background(), "k") }()
	time.Sleep(10 * time.Second)
	select {
	case err := <-done:
		t.Fatalf("a wait for a lost store ended with %v", err)
	default:
	}
	f.back()
	time.Sleep(time.Second)
	synctest.Wait()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	default:
		t.Error("the waiter still waits a second after the store came back")
	}
}

func failoverLedger(t *testing.T) {
	f := newFleet(t, failover.Options{MaxKeys: 10, Retry: time.Hour})
	defer f.close()
	l, err := stint.NewWith(stint.Options{Store: f.store}, stint.PerMinute(10).WithID("local"))
	if err != nil {
		t.Fatal(err)
	}
	f.lose()
	for i := range 15 {
		d, err := l.Take(context.Background(), fmt.Sprint("k", i), 1)
		if err != nil || d.Allowed != (i < 10) {
			t.Errorf("key %d of at most 10: %+v, %v", i, d, err)
		}
	}
	if !l.Allow("k3") {
		t.Error("a key that is known is refused at the bound")
	}
	if st := f.store.Stats(); st.Full != 5 || st.Owed != 10 {
		t.Errorf("%+v", st)
	}
	time.Sleep(time.Minute) // what no longer counts makes room
	if !l.Allow("new") {
		t.Error("a new key is refused although the others are as good as new")
	}
}

func failoverAll(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	roomy := compiledLimit(t, stint.PerDay(100).WithID("roomy"))
	if err := f.store.SetChoices(map[string]failover.Choice{"roomy": failover.Local, "local": failover.Local, "open": failover.Open}); err != nil {
		t.Fatal(err)
	}
	f.lose()
	ctx, l := context.Background(), f.limiter["local"]
	claims := func(ids ...*stint.Limit) (all []stint.Claim) {
		for _, limit := range ids {
			all = append(all, stint.NewClaim(limit, "k", 2))
		}
		return all
	}
	for i := range 4 { // a share of 5 and one of 50
		into := make([]stint.Decision, 3)
		d, err := l.TakeAll(ctx, claims(roomy, f.limit("local"), f.limit("open")), into)
		if err != nil || d.Allowed != (i < 2) || d.Reason != stint.Degraded {
			t.Errorf("call %d: %+v, %v", i, d, err)
		}
		if !d.Allowed && (d.By.ID != "local" || d.RetryAfter <= 0 || into[0].Remaining != 46) {
			t.Errorf("call %d: %+v", i, into)
		}
	}
	if d, err := l.TakeAll(ctx, claims(roomy, f.limit("closed"), f.limit("open")), nil); err != nil || d.Allowed || d.By.ID != "closed" {
		t.Errorf("with a claim that is refused: %+v, %v", d, err)
	}
	into := make([]stint.Decision, 2)
	d, err := l.TakeUpToAll(ctx, claims(roomy, f.limit("open")), 100, into)
	if err != nil || d.Granted != 5 || into[0].Granted != 10 || into[1].Granted != 10 {
		t.Errorf("up to 100 times 2 of 46 and of 10: %d times, %+v, %v", d.Granted, into, err)
	}
	p, err := l.PeekAll(ctx, claims(roomy, f.limit("open")), nil)
	if err != nil || !p.Allowed {
		t.Errorf("a look: %+v, %v", p, err)
	}
	f.back()
	for limit, want := range map[*stint.Limit]int64{roomy: 86, f.limit("local"): 6} {
		if left := remaining(t, f.memory, limit, "k"); left != want {
			t.Errorf("%s: %d remain, want %d", limit.ID, left, want)
		}
	}
}

func failoverNever(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	f.lose()
	for _, id := range []string{"open", "local"} {
		if d := f.take(id, "k", 11); d.Allowed || d.RetryAfter != stint.Never {
			t.Errorf("%s: 11 of 10: %+v", id, d)
		}
		none, err := stint.NewWith(stint.Options{Store: f.store}, stint.PerDay(0).WithID(id))
		if err != nil {
			t.Fatal(err)
		}
		if none.Allow("k") {
			t.Errorf("%s: a limit of nothing admits", id)
		}
	}
}

func failoverDenials(t *testing.T) {
	f := newFleet(t, failover.Options{Failures: 1})
	defer f.close()
	ctx := context.Background()
	for _, id := range []string{"closed", "open", "local"} {
		f.take(id, "k", 10)
		for range 20 {
			if d := f.take(id, "k", 1); d.Allowed || d.Reason != stint.Limited {
				t.Fatalf("%s: %+v", id, d)
			}
		}
		d := f.take(id, "other", 1)
		receipt, _ := d.Receipt()
		if _, err := f.limiter[id].Refund(ctx, receipt); err != nil {
			t.Error(err)
		}
		if _, err := f.limiter[id].Refund(ctx, receipt); !errors.Is(err, stint.ErrReceiptUsed) {
			t.Errorf("%s: a used receipt: %v", id, err)
		}
	}
	if st := f.store.Stats(); st.Lost || st.Failures != 0 {
		t.Errorf("%+v", st)
	}
}

func failoverRow(t *testing.T) {
	f := newFleet(t, failover.Options{})
	defer f.close()
	for range 10 {
		f.inner.Next(fault.Fault{Error: errDown}, fault.Fault{Error: errDown}, fault.Fault{Error: errDown}, fault.Fault{Error: errDown}, fault.Fault{})
		for range 5 {
			f.take("closed", "k", 1)
		}
	}
	if st := f.store.Stats(); st.Lost || st.Failures != 40 {
		t.Errorf("%+v", st)
	}
}

func failoverProbes(t *testing.T) {
	f := newFleet(t, failover.Options{Probes: 3, Retry: 100 * time.Millisecond})
	defer f.close()
	f.lose()
	asked := len(f.inner.Calls())
	var probes atomic.Int64
	f.inner.Always(func(c fault.Call) fault.Fault {
		if c.Claims[0].Limit.ID != failover.ProbeID {
			t.Errorf("a lost store is asked for %+v", c.Claims[0])
		}
		if probes.Add(1)%3 == 0 {
			return fault.Fault{Hang: true}
		}
		return fault.Fault{}
	})
	for range 100 {
		f.take("closed", "k", 1)
		time.Sleep(10 * time.Millisecond)
	}
	// Three probes a time, of which the last fails after 25 ms: one time each 125 ms.
	if n := len(f.inner.Calls()) - asked; n < 20 || n > 27 || !f.store.Stats().Lost || f.inner.Most() != 1 {
		t.Errorf("%d probes in a second, %d at once: %+v", n, f.inner.Most(), f.store.Stats())
	}
}
