package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/api"
	"github.com/stint-go/stint/service/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is the real API on memory, behind a listener.
type service struct {
	*httptest.Server
	requests atomic.Int64
	drop     atomic.Int64 // so many requests are decided, and not answered
	hold     chan struct{}
}

func serve(t testing.TB) *service {
	t.Helper()
	p, err := policy.Parse("test.json", []byte(`{"limits": {"hourly": {"rate": "50/hour", "strategy": "fixed-window"}},
		"routes": [{"match": {"path": "/x"}, "key": "user", "limits": ["hourly"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	store, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := stint.NewWith(stint.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	h, err := api.New(api.Options{Limiter: limiter, Store: store, Policy: func() *policy.Policy { return p }, Secret: []byte(strings.Repeat("s", 32)),
		Identify: func(_ context.Context, key, _ string) (*policy.Caller, error) {
			if key != "key" {
				return nil, policy.ErrInvalidKey
			}
			return &policy.Caller{User: "app", Scopes: policy.ScopeDecide}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{hold: make(chan struct{})}
	close(s.hold)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		<-s.hold
		if s.drop.Add(-1) >= 0 {
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { s.Close(); _ = store.Close() })
	return s
}

func connect(t testing.TB, s *service, change ...func(*client.Options)) *client.Client {
	t.Helper()
	o := client.Options{URL: s.URL, Key: "key"}
	for _, f := range change {
		f(&o)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Many callers at once are admitted exactly, in a few requests.
func TestTakesAreMerged(t *testing.T) {
	s := serve(t)
	c := connect(t, s)
	s.hold = make(chan struct{})
	var admitted atomic.Int64
	var wait sync.WaitGroup
	for range 120 {
		wait.Go(func() {
			d, err := c.Take(t.Context(), client.Call{Limit: "hourly", Key: "a"})
			if err != nil {
				t.Error(err)
			}
			if d.Allowed {
				admitted.Add(1)
			}
		})
	}
	for s.requests.Load() == 0 {
		time.Sleep(time.Millisecond) // the first has come; the others line up behind it
	}
	time.Sleep(50 * time.Millisecond)
	close(s.hold)
	wait.Wait()
	if admitted.Load() != 50 || s.requests.Load() > 20 {
		t.Errorf("admitted %d of 50 in %d requests", admitted.Load(), s.requests.Load())
	}
}

func TestDecisions(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := serve(t)
	c := connect(t, s, func(o *client.Options) { o.Now = func() time.Time { return now } })
	ctx := t.Context()
	d, err := c.Take(ctx, client.Call{Limit: "hourly", Key: "a", Cost: client.Cost(48)})
	if err != nil || !d.Allowed || d.Limit != "hourly" || d.Capacity != 50 || d.Remaining != 2 || d.RetryAfter != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err = c.Take(ctx, client.Call{Limit: "hourly", Key: "a", Cost: client.Cost(3)}); err != nil || d.Allowed || d.Remembered || d.RetryAfter <= 0 {
		t.Errorf("over the limit: %+v, %v", d, err)
	}
	before := s.requests.Load()
	if d, _ = c.Take(ctx, client.Call{Limit: "hourly", Key: "a", Cost: client.Cost(3)}); d.Allowed || !d.Remembered || s.requests.Load() != before {
		t.Errorf("again: %+v", d)
	}
	if d, _ = c.Take(ctx, client.Call{Limit: "hourly", Key: "a"}); !d.Allowed {
		t.Errorf("a smaller cost: %+v", d)
	}
	if d, _ = c.Take(ctx, client.Call{Limit: "hourly", Key: "a", Cost: client.Cost(60)}); d.Reason != "never" || d.RetryAfter != client.Unknown {
		t.Errorf("more than there ever is: %+v", d)
	}
	if d, err = c.Peek(ctx, client.Call{Request: &client.Request{Path: "/x", User: "a"}}); err != nil || d.Remaining != 50 {
		t.Errorf("by the policy: %+v, %v", d, err)
	}
	r, err := c.Reserve(ctx, client.Call{Limit: "hourly", Key: "b", Cost: client.Cost(40)})
	if err != nil || r.Reservation == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := c.Commit(ctx, r.Reservation, 10); err != nil {
		t.Error(err)
	}
	var problem *client.Problem
	if err := c.Cancel(ctx, r.Reservation); !errors.As(err, &problem) || problem.Status != 409 {
		t.Errorf("settled twice: %v", err)
	}
	if d, _ := c.Peek(ctx, client.Call{Limit: "hourly", Key: "b"}); d.Remaining != 40 {
		t.Errorf("after a commit of 10: %+v", d)
	}
}

// A call that got no answer is tried again under its name, and charged once.
func TestIdempotency(t *testing.T) {
	s := serve(t)
	c := connect(t, s)
	s.drop.Store(1)
	d, err := c.Take(t.Context(), client.Call{Limit: "hourly", Key: "a", Idempotency: "one"})
	if err != nil || !d.Allowed || !d.Replayed {
		t.Errorf("%+v, %v", d, err)
	}
	if d, _ := c.Peek(t.Context(), client.Call{Limit: "hourly", Key: "a"}); d.Remaining != 49 {
		t.Errorf("charged more than once: %+v", d)
	}
	s.drop.Store(1)
	if _, err := c.Take(t.Context(), client.Call{Limit: "hourly", Key: "a"}); err == nil {
		t.Error("a call without a name was tried again")
	}
}

// One call that is wrong does not spoil those that were sent with it.
func TestWrongCallSpoilsNoOther(t *testing.T) {
	s := serve(t)
	c := connect(t, s)
	s.hold = make(chan struct{})
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			call := client.Call{Limit: "hourly", Key: "a"}
			if i%5 == 0 {
				call.Limit = "nothing"
			}
			d, err := c.Take(t.Context(), call)
			if wrong := err != nil; wrong != (i%5 == 0) || !wrong && !d.Allowed {
				t.Errorf("call %d: %+v, %v", i, d, err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	close(s.hold)
	wait.Wait()
}

func TestCallerLeaves(t *testing.T) {
	s := serve(t)
	c := connect(t, s)
	s.hold = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	for range 2 {
		go func() { _, err := c.Take(ctx, client.Call{Limit: "hourly", Key: "a"}); done <- err }()
	}
	cancel()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	close(s.hold)
	if d, err := c.Take(t.Context(), client.Call{Limit: "hourly", Key: "a"}); err != nil || !d.Allowed {
		t.Errorf("afterwards: %+v, %v", d, err)
	}
}

func TestProblems(t *testing.T) {
	s := serve(t)
	var problem *client.Problem
	if _, err := connect(t, s, func(o *client.Options) { o.Key = "wrong" }).Take(t.Context(), client.Call{Limit: "hourly", Key: "a"}); !errors.As(err, &problem) || problem.Status != 401 {
		t.Errorf("a wrong key: %v", err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if _, err := connect(t, s, func(o *client.Options) { o.URL = other.URL }).Take(t.Context(), client.Call{Limit: "hourly", Key: "a"}); !errors.As(err, &problem) || !strings.Contains(problem.Detail, "is the URL right?") {
		t.Errorf("another server: %v", err)
	}
	if _, err := connect(t, s, func(o *client.Options) { o.URL = "http://127.0.0.1:1" }).Take(t.Context(), client.Call{Limit: "hourly", Key: "a"}); err == nil || errors.As(err, new(*client.Problem)) {
		t.Errorf("nobody: %v", err)
	}
	for _, o := range []client.Options{{URL: "localhost", Key: "k"}, {URL: "http://h"}, {URL: "http://h", Key: "k", Timeout: -1}} {
		if _, err := client.New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// A greater cost has to wait for longer than a smaller one that was refused: the client asks for it.
func TestRetryAfterOfAGreaterCost(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		wait := 1
		if strings.Contains(string(body), `"cost":9`) {
			wait = 9
		}
		_, _ = fmt.Fprintf(w, `{"decisions": [{"allowed": false, "reason": "limited", "retry_after": %d}]}`, wait)
	}))
	t.Cleanup(s.Close)
	now := time.Unix(1_700_000_000, 0)
	c := connect(t, &service{Server: s}, func(o *client.Options) { o.Now = func() time.Time { return now } })
	for _, cost := range []int64{1, 9} {
		d, err := c.Take(t.Context(), client.Call{Limit: "bucket", Key: "a", Cost: client.Cost(cost)})
		if err != nil || d.RetryAfter != time.Duration(cost)*time.Second {
			t.Errorf("a cost of %d: %+v, %v", cost, d, err)
		}
	}
}

// A wait of centuries, which is rounded up on its way, is still one.
func TestLongestWait(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"allowed": false, "reason": "blocked", "retry_after": 9223372036.854776, "reset_after": 1e300}`)
	}))
	t.Cleanup(s.Close)
	if d, err := connect(t, &service{Server: s}).Peek(t.Context(), client.Call{Limit: "l", Key: "a"}); err != nil || d.RetryAfter < 1000000*time.Hour || d.ResetAfter < 1000000*time.Hour {
		t.Errorf("%+v, %v", d, err)
	}
}

// Where a request is sent apart since one of its calls is wrong, and the service does not answer any more, the others are not tried one by
// one, each until its time-out.
func TestApartEndsWithTheService(t *testing.T) {
	var apart atomic.Int64
	hold := make(chan struct{})
	var first sync.Once
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		first.Do(func() { <-hold })
		if strings.Count(string(body), `"limit"`) > 1 {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		apart.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	c := connect(t, &service{Server: s})
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			if d, err := c.Take(t.Context(), client.Call{Limit: "hourly", Key: "a"}); err == nil {
				t.Errorf("%+v", d)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // they line up behind the first
	close(hold)
	wait.Wait()
	if n := apart.Load(); n > 30 {
		t.Errorf("%d calls were tried one by one", n)
	}
}

func ExampleClient_Take() {
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"decisions": [{"allowed": false, "reason": "limited", "limit": "hourly", "capacity": 100, "remaining": 0, "reset_after": 36, "retry_after": 36}]}`)
	}))
	defer fake.Close()
	c, err := client.New(client.Options{URL: fake.URL, Key: "stint_…"})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	d, err := c.Take(context.Background(), client.Call{Limit: "hourly", Key: "user:alice"})
	fmt.Println(d.Allowed, d.Reason, d.RetryAfter, err)
	// Output: false limited 36s <nil>
}
