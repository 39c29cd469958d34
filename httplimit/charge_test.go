package httplimit_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
)

// Failed log-ins count, others do not.
func TestChargeByStatus(t *testing.T) {
	c := newClock()
	h := handler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.Header.Get("X-Status"))
		w.WriteHeader(status)
	}), httplimit.Options{
		Limiter: c.limiter(t, stint.PerHour(2).WithBurst(2)),
		Charge:  httplimit.ChargeStatus(func(status int) bool { return status == 401 }),
	})
	for i, row := range []struct{ status, want int }{
		{200, 200}, {200, 200}, {200, 200}, {401, 401}, {200, 200}, {401, 401}, {200, 429}, {401, 429},
	} {
		if r := ask(h, request("/", "X-User: ann", "X-Status: "+strconv.Itoa(row.status))); r.StatusCode != row.want {
			t.Errorf("request %d: %d, want %d", i, r.StatusCode, row.want)
		}
	}
}

func TestChargeByHeader(t *testing.T) {
	c := newClock()
	var cost string
	trailer := false
	l := c.limiter(t, stint.PerHour(100).WithBurst(100).WithID("h"))
	reserve := int64(10)
	h := handler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if trailer {
			_, _ = w.Write([]byte("tokens"))
			w.Header().Set(http.TrailerPrefix+"X-Cost", cost)
			return
		}
		w.Header().Set("X-Cost", cost)
	}), httplimit.Options{Limiter: l, Cost: func(*http.Request) int64 { return reserve }, Charge: httplimit.ChargeHeader("x-cost")})
	left := func() int64 {
		d, err := l.Peek(context.Background(), "ann", 1)
		if err != nil {
			t.Fatal(err)
		}
		return d.Remaining
	}
	for i, row := range []struct {
		reserve int64
		cost    string
		trailer bool
		want    int64
		why     string
	}{
		{10, "3", false, 97, "less than reserved: the rest is given back"},
		{10, "25", false, 72, "more: charged as well"},
		{10, "", false, 62, "none said: what was reserved"},
		{10, "-5", false, 52, "nonsense: what was reserved"},
		{10, "7", true, 45, "a trailer"},
		{10, "0", true, 45, "nothing"},
		{0, "5", false, 40, "a cost not known before"},
		{0, "", false, 40, "nor afterwards"},
		{0, "1", false, 39, "as much as was held for it"},
		{10, "60", false, 0, "into debt"},
	} {
		reserve, cost, trailer = row.reserve, row.cost, row.trailer
		if r := ask(h, request("/", "X-User: ann")); r.StatusCode != 200 {
			t.Errorf("request %d: %d", i, r.StatusCode)
		}
		if got := left(); got != row.want {
			t.Errorf("request %d: %d left, want %d (%s)", i, got, row.want, row.why)
		}
	}
}

// However many come at once, no more of them pass than there are units: what is charged afterwards was reserved before.
func TestChargingAfterwardsLetsNobodyPassTogether(t *testing.T) {
	c := newClock()
	var inside atomic.Int64
	gate := make(chan struct{})
	h := handler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		<-gate
		w.WriteHeader(401)
	}), httplimit.Options{
		Limiter: c.limiter(t, stint.PerHour(3).WithBurst(3)),
		Charge:  httplimit.ChargeStatus(func(status int) bool { return status == 401 }),
	})
	var wg sync.WaitGroup
	refused := make(chan struct{}, 50)
	for range 50 {
		wg.Go(func() {
			if ask(h, request("/", "X-User: ann")).StatusCode == 429 {
				refused <- struct{}{}
			}
		})
	}
	for range 47 {
		<-refused
	}
	close(gate)
	wg.Wait()
	if inside.Load() != 3 {
		t.Errorf("%d passed together, want 3", inside.Load())
	}
}

// Slots are free again when the response has ended, also after a panic or when the client has left.
func TestConcurrencyReleases(t *testing.T) {
	c := newClock()
	l := c.limiter(t, stint.Limit{ID: "slots", Units: 2, Per: time.Minute, Strategy: stint.Concurrency{}})
	var h http.Handler
	depth := 0
	h = handler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if depth++; depth == 3 {
			t.Error("three at once")
		}
		if depth < 4 {
			if inner := ask(h, r); depth == 2 && inner.StatusCode != 429 {
				t.Errorf("a third one: %d", inner.StatusCode)
			}
		}
		depth--
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
	}), httplimit.Options{Limiter: l})
	for _, path := range []string{"/", "/panic", "/left", "/"} {
		depth = 0
		ctx, cancel := context.WithCancel(context.Background())
		r := request(path, "X-User: ann").WithContext(ctx)
		func() {
			defer func() { _ = recover() }()
			if path == "/left" {
				defer cancel()
			}
			ask(h, r)
		}()
		cancel()
	}
	d, err := l.Peek(context.Background(), "ann", 2)
	if err != nil || !d.Allowed {
		t.Errorf("slots are still held: %+v %v", d, err)
	}
}

// Beside a rate, slots come back and the rate stays charged.
func TestConcurrencyBesideARate(t *testing.T) {
	c := newClock()
	l := c.limiter(t, stint.PerHour(3).WithBurst(3).WithID("hourly"),
		stint.Limit{ID: "slots", Units: 1, Per: time.Minute, Strategy: stint.Concurrency{}})
	h := handler(t, answer(200), httplimit.Options{Limiter: l})
	run(t, h, c, []step{
		{0, "ann", 200, nil, "", "one"}, {0, "ann", 200, nil, "", "two"}, {0, "ann", 200, nil, "", "three"},
		{0, "ann", 429, []string{"Retry-After: 1200"}, "", "the hour is used up, the slot is free"},
	})
}

func TestPanicIsCharged(t *testing.T) {
	c := newClock()
	l := c.limiter(t, stint.PerHour(10).WithBurst(10))
	var status []int
	h := handler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "late") {
			w.WriteHeader(201)
		}
		panic("mine")
	}), httplimit.Options{Limiter: l, Charge: func(reserved int64, s int, _ http.Header) int64 {
		status = append(status, s)
		return reserved
	}})
	for _, path := range []string{"/early", "/late"} {
		func() {
			defer func() {
				if recover() != "mine" {
					t.Error("the panic was lost")
				}
			}()
			ask(h, request(path, "X-User: ann"))
		}()
	}
	if len(status) != 2 || status[0] != 500 || status[1] != 201 {
		t.Errorf("statuses %v", status)
	}
}

// deaf is a store that, like a remote one, does nothing for a context that has ended.
type deaf struct{ stint.Store }

func (s deaf) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	if err := ctx.Err(); err != nil {
		return stint.Answer{}, 0, err
	}
	return s.Store.Refund(ctx, l, key, op, nonce)
}

// A client that leaves gets back what its request did not cost, too; the status charged by is the final one.
func TestChargeAfterTheClientHasLeft(t *testing.T) {
	l, err := stint.NewWith(stint.Options{Store: deaf{mustMemory(t, newClock())}}, stint.PerHour(2).WithBurst(2))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := handler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNotModified)
		cancel()
	}), httplimit.Options{
		Limiter: l,
		OnError: func(_ *http.Request, err error) { t.Error(err) },
		Charge: httplimit.ChargeStatus(func(status int) bool {
			if status != http.StatusNotModified {
				t.Errorf("status %d", status)
			}
			return false
		}),
	})
	ask(h, request("/", "X-User: ann").WithContext(ctx))
	if d, err := l.Peek(context.Background(), "ann", 1); err != nil || d.Remaining != 2 {
		t.Errorf("%d left, want 2 (%v)", d.Remaining, err)
	}
}

// What could not be given back is told, and stays charged.
func TestFailedSettlementIsTold(t *testing.T) {
	l, err := stint.NewWith(stint.Options{Store: failing{mustMemory(t, newClock())}}, stint.PerHour(2).WithBurst(2))
	if err != nil {
		t.Fatal(err)
	}
	var told error
	h := handler(t, answer(200), httplimit.Options{
		Limiter: l, OnError: func(_ *http.Request, err error) { told = err },
		Charge: httplimit.ChargeStatus(func(int) bool { return false }),
	})
	if r := ask(h, request("/", "X-User: ann")); r.StatusCode != 200 || !errors.Is(told, stint.ErrContention) {
		t.Errorf("status %d, told %v", r.StatusCode, told)
	}
}

type failing struct{ stint.Store }

func (failing) Refund(context.Context, *stint.Limit, string, stint.Op, uint64) (stint.Answer, stint.Mark, error) {
	return stint.Answer{}, 0, stint.ErrContention
}
