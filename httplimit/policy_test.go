package httplimit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

// served is a policy under test, on a clock of its own.
type served struct {
	*httplimit.PolicyHandler
	*clock
}

func servePolicy(t *testing.T, text string, change ...func(*httplimit.PolicyOptions)) served {
	t.Helper()
	c := newClock()
	o := httplimit.PolicyOptions{Limiter: c.limiter(t)}
	for _, f := range change {
		f(&o)
	}
	h, err := httplimit.Policy(parsePolicy(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	return served{h, c}
}

func parsePolicy(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("test.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask sends a request with headers given as "Name: value".
func (s served) ask(method, target string, headers ...string) *httptest.ResponseRecorder {
	r := request(target, headers...)
	r.Method = method
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s served) expect(t *testing.T, status int, method, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := s.ask(method, target, headers...)
	if w.Code != status {
		t.Fatalf("%s %s %v: status %d, want %d: %s", method, target, headers, w.Code, status, w.Body)
	}
	return w
}

const perKey = `{"limits": {"per-key": "2/s"}, "routes": [
	{"match": {"path": "/limit", "method": "GET"}, "require": "api-key", "key": "user", "limits": ["per-key"],
	 "respond": {"body": "hello\n", "headers": {"X-Served-By": "stint"}}}]}`

func TestPolicyRespond(t *testing.T) {
	s := servePolicy(t, perKey)
	w := s.expect(t, 401, "GET", "/limit")
	if got := w.Header().Get("WWW-Authenticate"); got != `ApiKey in="header:X-Api-Key"` {
		t.Errorf("WWW-Authenticate %q", got)
	}
	s.expect(t, 404, "POST", "/limit", "X-API-KEY: a")
	s.expect(t, 404, "GET", "/limit/", "X-API-KEY: a")
	w = s.expect(t, 200, "GET", "/limit", "X-API-KEY: a")
	if got := w.Header().Get("RateLimit"); got != `"per-key";r=1;t=1` {
		t.Errorf("RateLimit %q", got)
	}
	if w.Body.String() != "hello\n" || w.Header().Get("X-Served-By") != "stint" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("answer %q %v", w.Body, w.Header())
	}
	s.expect(t, 200, "GET", "/limit", "X-API-KEY: a")
	w = s.expect(t, 429, "GET", "/limit", "X-API-KEY: a")
	if w.Body.String() != "Rate limit exceeded. Try again in 1 seconds" && w.Body.String() != "Rate limit exceeded. Try again in 1 second" {
		t.Errorf("body %q", w.Body)
	}
	if w.Header().Get("Retry-After") != "1" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", w.Header())
	}
	s.expect(t, 200, "HEAD", "/limit", "X-API-KEY: b")
	s.advance(time.Second)
	s.expect(t, 200, "GET", "/limit", "X-API-KEY: a")
}

func TestPolicyNextAndUpstream(t *testing.T) {
	text := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d, ok := httplimit.DecisionFrom(r.Context())
			_, _ = io.WriteString(w, name)
			if ok {
				_, _ = io.WriteString(w, " "+d.Reason.String())
			}
		})
	}
	made := 0
	s := servePolicy(t, `{"limits": {"a": "1/s"}, "headers": ["x-seconds", "ietf"], "routes": [
		{"match": {"path": "/up/**"}, "key": "address", "limits": "a", "upstream": "http://one"},
		{"match": {"path": "/up2"}, "upstream": "http://one"},
		{"match": {"path": "/next"}, "key": "address", "limits": "a"}]}`,
		func(o *httplimit.PolicyOptions) {
			o.Next = text("next")
			o.Upstream = func(u *url.URL) (http.Handler, error) { made++; return text(u.String()), nil }
		})
	for target, want := range map[string]string{"/up/x": "http://one admitted", "/up2": "http://one", "/other": "next"} {
		if w := s.expect(t, 200, "GET", target); w.Body.String() != want {
			t.Errorf("%s: %q, want %q", target, w.Body, want)
		}
	}
	if made != 1 {
		t.Errorf("%d handlers for one upstream", made)
	}
	// The same limit and key, by another route.
	if w := s.expect(t, 429, "GET", "/next"); w.Header().Get("X-RateLimit-Remaining") != "0" || w.Header().Get("RateLimit") == "" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestPolicyWithoutNext(t *testing.T) {
	s := servePolicy(t, `{"limits": {"a": "1/s"}, "routes": [{"match": {"path": "/a"}, "key": "address", "limits": "a"}]}`)
	s.expect(t, 204, "GET", "/a")
	s.expect(t, 404, "GET", "/b")
}

func TestPolicyMissingKey(t *testing.T) {
	s := servePolicy(t, `{"limits": {"a": "1/s"}, "routes": [
		{"match": {"path": "/reject"}, "key": "query:tenant", "limits": "a"},
		{"match": {"path": "/who"}, "key": "header:X-Tenant", "limits": "a"},
		{"match": {"path": "/use"}, "key": "query:tenant", "limits": "a", "missing-key": {"use": "anybody"}},
		{"match": {"path": "/shadow"}, "key": "query:tenant", "limits": "a", "mode": "shadow"}]}`)
	s.expect(t, 400, "GET", "/reject")
	s.expect(t, 400, "GET", "/reject?tenant=")
	s.expect(t, 401, "GET", "/who")
	s.expect(t, 204, "GET", "/use")
	s.expect(t, 429, "GET", "/use")
	s.expect(t, 204, "GET", "/use?tenant=anybody")
	s.expect(t, 204, "GET", "/shadow")
}

// A limit that routes share by keys of different kinds keeps them apart, whatever clients send.
func TestPolicyKeysNeverMeet(t *testing.T) {
	s := servePolicy(t, `{"limits": {"a": "1/s"}, "routes": [
		{"match": {"path": "/address"}, "key": "address", "limits": "a"},
		{"match": {"path": "/tenant"}, "key": "header:X-Tenant", "limits": "a"},
		{"match": {"path": "/{id}/both"}, "key": ["path:id", "header:X-Tenant"], "limits": "a"}]}`)
	s.expect(t, 204, "GET", "/tenant", "X-Tenant: 192.0.2.1")
	s.expect(t, 204, "GET", "/address")
	s.expect(t, 429, "GET", "/address")
	s.expect(t, 204, "GET", "/a/both", "X-Tenant: b")
	s.expect(t, 204, "GET", "/b/both", "X-Tenant: a")
	s.expect(t, 429, "GET", "/b/both", "X-Tenant: a")
}

func TestPolicyShadowAndOff(t *testing.T) {
	s := servePolicy(t, `{"limits": {"a": "1/s", "b": "5/s"}, "routes": [
		{"match": {"path": "/shadow"}, "key": "address", "limits": ["b", "a"], "mode": "shadow", "respond": {"body": "x"}},
		{"match": {"path": "/off"}, "key": "address", "limits": "a", "mode": "off", "respond": {"body": "x"}}]}`)
	if w := s.expect(t, 200, "GET", "/shadow"); w.Header().Get("Stint-Shadow") != "" {
		t.Error("marked a call that has room")
	}
	if w := s.expect(t, 200, "GET", "/shadow"); w.Header().Get("Stint-Shadow") != "limited" || w.Header().Get("RateLimit") == "" {
		t.Errorf("not marked: %v", w.Header())
	}
	if w := s.expect(t, 200, "GET", "/off"); w.Header().Get("RateLimit") != "" {
		t.Error("a route that is off speaks of limits")
	}
}

// What a handler behind a route in shadow is told is what the strictest limit says.
func TestPolicyShadowDecision(t *testing.T) {
	var told stint.Decision
	s := servePolicy(t, `{"limits": {"a": "5/s", "b": "2/s", "c": "9/s"}, "routes": [{"key": "address", "limits": ["a", "b", "c"], "mode": "shadow"}]}`,
		func(o *httplimit.PolicyOptions) {
			o.Next = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told, _ = httplimit.DecisionFrom(r.Context()) })
		})
	for i, want := range []stint.Reason{stint.Admitted, stint.Admitted, stint.Shadowed} {
		s.expect(t, 200, "GET", "/")
		if !told.Allowed || told.Reason != want || told.By == nil || told.By.ID != "b" || told.Remaining != int64(max(0, 1-i)) {
			t.Errorf("call %d: %+v", i, told)
		}
	}
}

func TestPolicySkip(t *testing.T) {
	s := servePolicy(t, `{"limits": {"none": "0/s"}, "clients": {"hops": 1}, "routes": [
		{"key": "address", "limits": "none", "skip": [{"address": "10.0.0.0/8"}, {"path": "/health", "method": "GET"}]}]}`)
	s.expect(t, 429, "GET", "/", "X-Forwarded-For: 192.0.2.7")
	s.expect(t, 204, "GET", "/", "X-Forwarded-For: 10.1.2.3")
	s.expect(t, 429, "GET", "/", "X-Forwarded-For: 10.1.2.3, 192.0.2.7")
	s.expect(t, 204, "GET", "/health", "X-Forwarded-For: 192.0.2.7")
	s.expect(t, 429, "POST", "/health", "X-Forwarded-For: 192.0.2.7")
}

func TestPolicyCost(t *testing.T) {
	s := servePolicy(t, `{"limits": {"a": "10/s"}, "routes": [
		{"match": {"path": "/five"}, "key": "address", "limits": "a", "cost": 5},
		{"match": {"path": "/header"}, "key": "address", "limits": "a", "cost": {"header": "X-Cost", "default": 2, "max": 4}}]}`)
	left := func(w *httptest.ResponseRecorder) string {
		return w.Header().Get("RateLimit")
	}
	for _, step := range []struct{ target, cost, left string }{
		{"/header", "4", `"a";r=6;t=1`},
		{"/header", "", `"a";r=4;t=1`},
		{"/header", "-1", `"a";r=2;t=1`},
		{"/header", "0", `"a";r=0;t=1`},
	} {
		if got := left(s.expect(t, 204, "GET", step.target, "X-Cost: "+step.cost)); got != step.left {
			t.Errorf("cost %q: %s, want %s", step.cost, got, step.left)
		}
	}
	s.advance(time.Second)
	s.expect(t, 204, "GET", "/five")
	if got := left(s.expect(t, 204, "GET", "/header", "X-Cost: 99999999999999999999999")); got != `"a";r=1;t=1` {
		t.Errorf("a cost above the max: %s", got)
	}
}

func TestPolicyChargeOn(t *testing.T) {
	s := servePolicy(t, `{"limits": {"a": "4/s"}, "routes": [
		{"match": {"path": "/status/*"}, "key": "address", "limits": "a", "charge-on": ["4xx", 200]},
		{"match": {"path": "/header/*"}, "key": "address", "limits": "a", "charge-on": {"header": "X-Used", "status": "2xx"}}]}`,
		func(o *httplimit.PolicyOptions) {
			o.Next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Used", r.Header.Get("Say"))
				status := map[byte]int{'2': 200, '3': 302, '4': 404}[r.URL.Path[len(r.URL.Path)-1]]
				w.WriteHeader(status)
			})
		})
	for range 9 {
		s.expect(t, 302, "GET", "/status/3")
		s.expect(t, 302, "GET", "/header/3", "Say: 3")
	}
	s.expect(t, 200, "GET", "/status/2")
	s.expect(t, 404, "GET", "/status/4")
	s.expect(t, 200, "GET", "/header/2", "Say: 2")
	s.expect(t, 429, "GET", "/status/2")
}

func TestPolicySlots(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	s := servePolicy(t, `{"limits": {"slots": {"rate": "1/min", "strategy": "concurrency"}, "rate": "3/hour"}, "routes": [
		{"key": "address", "limits": ["slots", "rate"]}]}`,
		func(o *httplimit.PolicyOptions) {
			o.Next = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					inside <- struct{}{}
					<-leave
				}
			})
		})
	done := make(chan int)
	go func() { done <- s.ask("GET", "/slow").Code }()
	<-inside
	s.expect(t, 429, "GET", "/")
	close(leave)
	if code := <-done; code != 200 {
		t.Fatal(code)
	}
	// The slot is free again; what the rate was charged stays.
	s.expect(t, 200, "GET", "/")
	s.expect(t, 200, "GET", "/")
	s.expect(t, 429, "GET", "/")
}

func TestPolicyOverLimit(t *testing.T) {
	s := servePolicy(t, `{"limits": {"none": "0/s"}, "headers": "none", "routes": [
		{"match": {"path": "/json"}, "key": "address", "limits": "none", "over-limit": {"format": "json", "status": 503}},
		{"match": {"path": "/problem"}, "key": "address", "limits": "none", "over-limit": "problem"},
		{"match": {"path": "/accept"}, "key": "address", "limits": "none", "over-limit": "accept"}]}`)
	for _, c := range []struct {
		target, accept, kind string
		status               int
	}{
		{"/json", "", "application/json", 503},
		{"/problem", "", "application/problem+json", 429},
		{"/accept", "", "text/plain; charset=utf-8", 429},
		{"/accept", "application/json", "application/json", 429},
	} {
		w := s.expect(t, c.status, "GET", c.target, "Accept: "+c.accept)
		if got := w.Header().Get("Content-Type"); got != c.kind {
			t.Errorf("%s: %s", c.target, got)
		}
		if w.Header().Get("RateLimit") != "" {
			t.Error("headers, though there should be none")
		}
	}
}

func TestPolicyPlans(t *testing.T) {
	s := servePolicy(t, `{"limits": {"a": "1/s"}, "plans": {"pro": {"a": "3/s"}, "vip": {"a": "unlimited"}}, "routes": [
		{"key": "user", "limits": "a"}]}`,
		func(o *httplimit.PolicyOptions) {
			o.Attribute = func(r *http.Request, name string) (string, bool) {
				v := r.Header.Get("Test-" + name)
				return v, v != ""
			}
		})
	for plan, most := range map[string]int{"": 1, "unheard-of": 1, "pro": 3} {
		for range most {
			s.expect(t, 204, "GET", "/", "Test-User: u"+plan, "Test-Plan: "+plan)
		}
		s.expect(t, 429, "GET", "/", "Test-User: u"+plan, "Test-Plan: "+plan)
	}
	for range 9 {
		s.expect(t, 204, "GET", "/", "Test-User: u", "Test-Plan: vip")
	}
}

func TestPolicySwap(t *testing.T) {
	s := servePolicy(t, perKey)
	s.expect(t, 200, "GET", "/limit", "X-API-KEY: a")
	before := s.Policy()
	if err := s.Swap(parsePolicy(t, `{"routes": [{"upstream": "http://x"}]}`)); err == nil || !strings.Contains(err.Error(), "test.json:1:13") {
		t.Errorf("a policy that cannot be served: %v", err)
	}
	if s.Policy() != before {
		t.Error("the last good policy is gone")
	}
	s.expect(t, 200, "GET", "/limit", "X-API-KEY: a")
	if err := s.Swap(parsePolicy(t, strings.Replace(perKey, "/limit", "/other", 1))); err != nil {
		t.Fatal(err)
	}
	s.expect(t, 404, "GET", "/limit", "X-API-KEY: a")
	s.expect(t, 429, "GET", "/other", "X-API-KEY: a") // the counts are the limit's
}

// A policy is swapped as a whole: each answer is one policy's or the other's, and no count is lost.
func TestPolicySwapUnderLoad(t *testing.T) {
	text := `{"limits": {"a": "100/hour"}, "routes": [{"match": {"path": "/%s"}, "key": "address", "limits": "a", "respond": {"body": "%s"}},
		{"match": {"path": "/**"}, "key": "address", "limits": "a", "respond": {"body": "other than %s"}}]}`
	policies := make([]*policy.Policy, 2)
	for i, name := range []string{"one", "two"} {
		policies[i] = parsePolicy(t, fmt.Sprintf(text, name, name, name))
	}
	s := servePolicy(t, fmt.Sprintf(text, "one", "one", "one"))
	var admitted atomic.Int64
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 100 {
				switch w := s.ask("GET", "/one"); {
				case w.Code == 200 && (w.Body.String() == "one" || w.Body.String() == "other than two"):
					admitted.Add(1)
				case w.Code != 429:
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
	for i := range 200 {
		if err := s.Swap(policies[i%2]); err != nil {
			t.Error(err)
		}
	}
	asking.Wait()
	if admitted.Load() != 100 {
		t.Errorf("%d admitted", admitted.Load())
	}
}

func TestPolicyStoreLost(t *testing.T) {
	told := 0
	s := servePolicy(t, `{"limits": {"closed": "1/s", "open": {"rate": "1/s", "on-store-loss": "open"}}, "routes": [
		{"match": {"path": "/closed"}, "key": "address", "limits": ["closed", "open"]},
		{"match": {"path": "/open"}, "key": "address", "limits": ["open"]}]}`,
		func(o *httplimit.PolicyOptions) {
			limiter, err := stint.NewWith(stint.Options{Store: unreachable{err: errors.New("connection refused")}})
			if err != nil {
				t.Fatal(err)
			}
			o.Limiter = limiter
			o.OnError = func(*http.Request, error) { told++ }
		})
	s.expect(t, 503, "GET", "/closed")
	s.expect(t, 204, "GET", "/open")
	if told != 2 {
		t.Errorf("told %d times", told)
	}
}

// lost is a store that says what package failover does with the choice closed.
type lost struct{ stint.Store }

func (lost) All(_ context.Context, _ []stint.Claim, into []stint.Outcome) error {
	for i := range into {
		into[i], _ = lostOutcome()
	}
	return nil
}

func (lost) One(context.Context, *stint.Limit, string, stint.Op) (stint.Answer, stint.Mark, error) {
	o, err := lostOutcome()
	return o.Answer, o.Mark, err
}

func lostOutcome() (stint.Outcome, error) {
	return stint.Outcome{Answer: stint.Answer{Wait: stint.Forever}, Mark: stint.NewMark(0).Degraded().Unknown()}, nil
}

// A lost store is no denial: the answer is no 429, and says nothing of what nobody knows, be it when to come back or what is left.
func TestPolicyStoreLostIsNoDenial(t *testing.T) {
	s := servePolicy(t, `{"headers": ["ietf", "x"], "limits": {"a": "1/s", "b": "2/s"}, "routes": [
		{"match": {"path": "/text"}, "key": "address", "limits": ["a", "b"]},
		{"match": {"path": "/json"}, "key": "address", "limits": ["a", "b"], "over-limit": {"format": "json", "status": 420}},
		{"match": {"path": "/problem"}, "key": "address", "limits": ["a"], "over-limit": "problem"},
		{"match": {"path": "/reserved"}, "key": "address", "limits": ["a"], "charge-on": "2xx"},
		{"match": {"path": "/shadow"}, "key": "address", "limits": ["a"], "mode": "shadow"}]}`,
		func(o *httplimit.PolicyOptions) {
			limiter, err := stint.NewWith(stint.Options{Store: lost{}})
			if err != nil {
				t.Fatal(err)
			}
			o.Limiter = limiter
			o.OnError = func(_ *http.Request, err error) { t.Error(err) }
		})
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/text":     {503, "The rate limit cannot be checked right now"},
		"/reserved": {503, "The rate limit cannot be checked right now"},
		"/json":     {503, `{"error":"degraded","message":"The rate limit cannot be checked right now","status":503}`},
		"/problem": {503, `{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",` +
			`"title":"Request cannot be satisfied due to temporary server capacity constraints","status":503,` +
			`"detail":"The rate limit cannot be checked right now"}`},
		"/shadow": {204, ""},
	} {
		w := s.expect(t, want.status, "GET", path)
		if w.Body.String() != want.body {
			t.Errorf("%s: %s", path, w.Body)
		}
		for _, name := range []string{"Retry-After", "Ratelimit", "Ratelimit-Policy", "X-Ratelimit-Remaining"} {
			if value := w.Header().Get(name); value != "" {
				t.Errorf("%s: %s: %s", path, name, value)
			}
		}
		if marked := w.Header().Get("Stint-Shadow"); (marked == "degraded") != (path == "/shadow") {
			t.Errorf("%s: Stint-Shadow %q", path, marked)
		}
	}
}

func TestPolicyOptionsAreChecked(t *testing.T) {
	limiter, err := stint.NewWith(stint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer limiter.Close()
	p := parsePolicy(t, perKey)
	for name, o := range map[string]httplimit.PolicyOptions{
		"no limiter": {},
		"headers":    {Limiter: limiter, Answers: httplimit.Answers{Headers: []httplimit.Dialect{httplimit.IETF{}}}},
		"jitter":     {Limiter: limiter, Answers: httplimit.Answers{Jitter: time.Millisecond}},
		"address":    {Limiter: limiter, Address: httplimit.Hops(99)},
	} {
		if _, err := httplimit.Policy(p, o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func ExamplePolicy() {
	p, err := policy.Parse("stint.json", []byte(`{
		"limits": {"hourly": "1/hour"},
		"routes": [
			{"match": {"path": "/health"}, "mode": "off", "respond": {"body": "ok"}},
			{"match": {"path": "/**"}, "key": "address", "limits": ["hourly"]}
		]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, err := stint.NewWith(stint.Options{}) // the policy brings the limits
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	handler, err := httplimit.Policy(p, httplimit.PolicyOptions{Limiter: limiter, Next: hello})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, target := range []string{"/health", "/a", "/a"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		fmt.Printf("%s %d %q\n", target, w.Code, w.Body)
	}
	// Output:
	// /health 200 "ok"
	// /a 200 "hello"
	// /a 429 "Rate limit exceeded. Try again in 3600 seconds"
}

func BenchmarkPolicy(b *testing.B) {
	p, err := policy.Parse("", []byte(strings.Replace(perKey, "2/s", "1000000000/s", 1)))
	if err != nil {
		b.Fatal(err)
	}
	limiter, err := stint.NewWith(stint.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer limiter.Close()
	h, err := httplimit.Policy(p, httplimit.PolicyOptions{Limiter: limiter})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/limit", nil)
	r.Header.Set("X-API-KEY", "alice")
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
