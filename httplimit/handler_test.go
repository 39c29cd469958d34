package httplimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

func copyAll(w io.Writer, r io.Reader) (int64, error) { return io.Copy(w, r) }

func TestRefusal(t *testing.T) {
	c := newClock()
	l := c.limiter(t, stint.PerSecond(2).WithBurst(2).WithID("per-user"))
	h := handler(t, answer(204), httplimit.Options{Limiter: l})
	run(t, h, c, []step{
		{0, "ann", 204, []string{`RateLimit: "per-user";r=1;t=1`, `RateLimit-Policy: "per-user";q=2;w=1`, "Retry-After: "}, "", "the first"},
		{0, "ann", 204, []string{`RateLimit: "per-user";r=0;t=1`}, "", "the burst"},
		{0, "ann", 429, []string{
			"Retry-After: 1", "Cache-Control: no-store", "Content-Type: text/plain; charset=utf-8",
			`RateLimit: "per-user";r=0;t=1`, `RateLimit-Policy: "per-user";q=2;w=1`,
		}, "Rate limit exceeded. Try again in 1 seconds", "half a second to wait is rounded up"},
		{0, "bob", 204, nil, "", "somebody else"},
		{499 * time.Millisecond, "ann", 429, []string{"Retry-After: 1"}, "Rate limit exceeded. Try again in 1 seconds", "never 0"},
		{500 * time.Millisecond, "ann", 204, nil, "", "one unit has come back"},
		{500 * time.Millisecond, "", 401, []string{`WWW-Authenticate: ApiKey in="header:X-User"`, "Retry-After: ", "RateLimit: ", "Cache-Control: no-store"},
			"The request lacks what it is counted by: header:X-User", "no key is no free pass"},
	})
}

func TestLongWaitsAreRoundedUp(t *testing.T) {
	c := newClock()
	h := handler(t, answer(204), httplimit.Options{Limiter: c.limiter(t, stint.PerHour(1).WithBurst(1).WithID("h"))})
	run(t, h, c, []step{
		{0, "ann", 204, []string{`RateLimit: "h";r=0;t=3600`}, "", "the only one"},
		{time.Microsecond, "ann", 429, []string{"Retry-After: 3600"}, "Rate limit exceeded. Try again in 3600 seconds", "3599.999999 s"},
		{time.Second, "ann", 429, []string{"Retry-After: 3599"}, "", "exactly 3599 s"},
		{3600 * time.Second, "ann", 204, nil, "", "again"},
	})
}

// On a refusal the window that the header speaks of ends with Retry-After, not with the reset.
func TestWindowOfARefusal(t *testing.T) {
	c := newClock()
	x := httplimit.Answers{Headers: []httplimit.Dialect{httplimit.IETF{}, httplimit.XRateLimit{Seconds: true}}}
	h := handler(t, answer(204), httplimit.Options{Limiter: c.limiter(t, stint.PerHour(100).WithBurst(2).WithID("h")), Answers: x})
	run(t, h, c, []step{
		{0, "ann", 204, []string{`RateLimit: "h";r=1;t=36`}, "", ""},
		{0, "ann", 204, []string{`RateLimit: "h";r=0;t=72`, "X-RateLimit-Reset: 72"}, "", "both are missing"},
		{0, "ann", 429, []string{`RateLimit: "h";r=0;t=36`, "Retry-After: 36", "X-RateLimit-Reset: 72"}, "", "one is enough"},
	})
}

// An unlimited limit beside another is not told of.
func TestUnlimitedBesideALimit(t *testing.T) {
	c := newClock()
	h := handler(t, answer(204), httplimit.Options{Limiter: c.limiter(t, stint.Unlimited(), stint.PerHour(2).WithBurst(2).WithID("h"))})
	run(t, h, c, []step{{0, "ann", 204, []string{`RateLimit: "h";r=1;t=1800`, `RateLimit-Policy: "h";q=2;w=3600`}, "", ""}})
}

func TestNever(t *testing.T) {
	c := newClock()
	cost := int64(3)
	h := handler(t, answer(204), httplimit.Options{
		Limiter: c.limiter(t, stint.PerSecond(2).WithBurst(2)),
		Cost:    func(*http.Request) int64 { return cost },
	})
	never := []string{"Retry-After: ", "Cache-Control: no-store"}
	run(t, h, c, []step{{0, "ann", 429, never, "Rate limit exceeded. The request is larger than the limit will ever admit", "3 of 2"}})
	cost = -1
	run(t, h, c, []step{{0, "ann", 400, never, "The request's cost is negative", "a negative cost is no gift"}})
	cost = 1<<63 - 1
	run(t, h, c, []step{{0, "ann", 429, never, "", "no overflow"}})
	cost = 2
	run(t, h, c, []step{{0, "ann", 204, nil, "", "nothing was charged so far"}, {0, "ann", 429, []string{"Retry-After: 1"}, "", "all gone"}})
	cost = 0
	run(t, h, c, []step{{0, "ann", 429, nil, "", "cost 0 passes while one is left"}, {time.Second, "ann", 204, nil, "", "and changes nothing"}})
}

func TestDenyAll(t *testing.T) {
	c := newClock()
	h := handler(t, answer(204), httplimit.Options{Limiter: c.limiter(t, stint.Limit{Per: time.Second})})
	run(t, h, c, []step{{0, "ann", 429, []string{"Retry-After: "}, "", "0 units deny all"}})
}

// unreachable is a store that cannot be reached.
type unreachable struct {
	stint.Store
	err error
}

func (s unreachable) One(context.Context, *stint.Limit, string, stint.Op) (stint.Answer, stint.Mark, error) {
	return stint.Answer{}, 0, s.err
}
func (s unreachable) All(context.Context, []stint.Claim, []stint.Outcome) error { return s.err }

func TestLostStore(t *testing.T) {
	failure := errors.New("connection refused")
	l, err := stint.NewWith(stint.Options{Store: unreachable{err: failure}}, stint.PerSecond(1))
	if err != nil {
		t.Fatal(err)
	}
	var told error
	o := httplimit.Options{Limiter: l, OnError: func(_ *http.Request, err error) { told = err }}
	o.RetryUnknown = 1500 * time.Millisecond
	o.Bodies = []httplimit.Body{httplimit.Problem{}}
	r := ask(handler(t, answer(204), o), request("/", "X-User: ann"))
	checkHeaders(t, "closed", r.Header, []string{"Retry-After: 2", "Cache-Control: no-store", "Content-Type: application/problem+json", "RateLimit: "})
	if body := bodyOf(t, r); r.StatusCode != 503 || !strings.Contains(body, "temporary-reduced-capacity") || !errors.Is(told, failure) {
		t.Errorf("closed: status %d, told %v, body %s", r.StatusCode, told, body)
	}

	o.FailOpen = true
	var d stint.Decision
	open := handler(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { d, _ = httplimit.DecisionFrom(r.Context()) }), o)
	if r := ask(open, request("/", "X-User: ann")); r.StatusCode != 200 || !d.Allowed || d.Reason != stint.Degraded {
		t.Errorf("open: status %d, decision %+v", r.StatusCode, d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := ask(open, request("/", "X-User: ann").WithContext(ctx)); r.StatusCode != 503 {
		t.Errorf("a client that hung up was served uncounted: status %d", r.StatusCode)
	}
}

func TestMissingKey(t *testing.T) {
	for _, row := range []struct {
		key       policy.Key
		status    int
		challenge string
	}{
		{policy.Header("Authorization"), 401, "Bearer"},
		{policy.Header("X-API-Key"), 401, `ApiKey in="header:X-Api-Key"`},
		{policy.Cookie("sid"), 401, `ApiKey in="cookie:sid"`},
		{policy.BasicUser(), 401, `Basic realm="rate limit"`},
		{policy.Attribute("user"), 401, `ApiKey in="user"`},
		{policy.Query("q"), 400, ""},
		{policy.PathValue("id"), 400, ""},
		{policy.Tuple(policy.Query("q"), policy.Header("X-User")), 401, `ApiKey in="header:X-User"`},
		{policy.Func("mine", func(policy.Call) (string, bool) { return "", true }), 400, ""},
	} {
		l := newClock().limiter(t, stint.PerSecond(1))
		r := ask(handler(t, answer(204), httplimit.Options{Limiter: l, Key: row.key}), request("/"))
		if r.StatusCode != row.status || r.Header.Get("WWW-Authenticate") != row.challenge {
			t.Errorf("%v: %d %q, want %d %q", row.key, r.StatusCode, r.Header.Get("WWW-Authenticate"), row.status, row.challenge)
		}
		own := handler(t, answer(204), httplimit.Options{Limiter: l, Key: row.key, MissingStatus: 403})
		if r := ask(own, request("/")); r.StatusCode != 403 {
			t.Errorf("%v: %d, want the status chosen", row.key, r.StatusCode)
		}
	}
}

func TestSharedKey(t *testing.T) {
	c := newClock()
	h := handler(t, answer(204), httplimit.Options{Limiter: c.limiter(t, stint.PerHour(1).WithBurst(1)), SharedKey: "anonymous"})
	run(t, h, c, []step{
		{0, "anonymous", 204, nil, "", "a real user of that name"},
		{0, "", 204, nil, "", "does not share with those who have none"},
		{0, "", 429, nil, "", "who share among themselves"},
		{0, "anonymous", 429, nil, "", "each its own"},
	})
}

func TestEveryKey(t *testing.T) {
	c := newClock()
	request := func(change func(*http.Request)) *http.Request {
		r := httptest.NewRequest("GET", "/users/7/posts?token=%00t&token=u", nil)
		r.Header.Set("X-User", "ann")
		r.AddCookie(&http.Cookie{Name: "sid", Value: "c1"})
		r.SetBasicAuth("basic", "secret")
		if change != nil {
			change(r)
		}
		return r
	}
	var seen string
	spy := func(key policy.Key) http.Handler {
		limiter, err := stint.NewWith(stint.Options{
			Store:     mustMemory(t, c),
			Observers: []stint.Observer{stint.ObserverFunc(func(_ context.Context, key string, _ int64, _ *stint.Decision, _ error) { seen = key })},
		}, stint.PerHour(1000))
		if err != nil {
			t.Fatal(err)
		}
		return handler(t, answer(204), httplimit.Options{
			Limiter: limiter, Key: key, Address: httplimit.Peer(),
			Attribute: func(r *http.Request, name string) (string, bool) { return "gold", name == "plan" },
		})
	}
	for i, row := range []struct {
		key  policy.Key
		want string
	}{
		{policy.Address(), "192.0.2.1"},
		{policy.Header("x-user"), "ann"},
		{policy.Header("Host"), "example.com"},
		{policy.Cookie("sid"), "c1"},
		{policy.Query("token"), stint.Key("\x00t")},
		{policy.PathValue("id"), "7"},
		{policy.BasicUser(), "basic"},
		{policy.Attribute("plan"), "gold"},
		{policy.Attribute("route"), "GET /users/{id}/posts"},
		{policy.Fixed("all"), "all"},
		{policy.Tuple(policy.Address(), policy.Header("X-User")), stint.Key("192.0.2.1", "ann")},
		{policy.Func("host", func(c policy.Call) (string, bool) { return c.Host() + c.Path() + c.Method(), true }), "example.com/users/7/postsGET"},
	} {
		mux := http.NewServeMux()
		mux.Handle("GET /users/{id}/posts", spy(row.key))
		seen = ""
		if r := ask(mux, request(nil)); r.StatusCode != 204 || seen != row.want {
			t.Errorf("%d %v: status %d, key %q, want %q", i, row.key, r.StatusCode, seen, row.want)
		}
	}
}

func mustMemory(t testing.TB, c *clock) *stint.Memory {
	t.Helper()
	m, err := stint.NewMemory(stint.MemoryOptions{Clock: func() int64 { return c.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func TestSeveralLimits(t *testing.T) {
	c := newClock()
	l := c.limiter(t, stint.PerSecond(2).WithBurst(2).WithID("burst"), stint.PerHour(3).WithBurst(3).WithID("hourly"))
	h := handler(t, answer(204), httplimit.Options{Limiter: l, Answers: httplimit.Answers{Bodies: []httplimit.Body{httplimit.JSON{}}}})
	run(t, h, c, []step{
		{0, "ann", 204, []string{
			`RateLimit-Policy: "burst";q=2;w=1, "hourly";q=3;w=3600`,
			`RateLimit: "burst";r=1;t=1, "hourly";r=2;t=1200`,
		}, "", "each limit in the lists"},
		{0, "ann", 204, nil, "", "the burst"},
		{0, "ann", 429, []string{"Retry-After: 1", `RateLimit: "burst";r=0;t=1, "hourly";r=1;t=2400`},
			`{"error":"limited","message":"Rate limit exceeded. Try again in 1 seconds","status":429,"retry_after":1,"limit":2,"remaining":0,"reset_after":1,"policies":["burst"]}`,
			"all or nothing"},
		{time.Second, "ann", 204, nil, "", "the refusal was free"},
		{time.Second, "ann", 429, []string{"Retry-After: 1199"}, "", "the hour is the strictest now"},
	})
}

func TestBodiesByAccept(t *testing.T) {
	c := newClock()
	l := c.limiter(t, stint.PerHour(1).WithBurst(1).WithID(`a "b" ü`))
	bodies := []httplimit.Body{httplimit.Text{}, httplimit.JSON{}, httplimit.Problem{}}
	h := handler(t, answer(204), httplimit.Options{Limiter: l, Answers: httplimit.Answers{Bodies: bodies}})
	ask(h, request("/", "X-User: ann"))
	const text, object, problem = "text/plain; charset=utf-8", "application/json", "application/problem+json"
	for _, row := range []struct{ accept, want string }{
		{"", text},
		{"*/*", text},
		{"application/json", object},
		{"application/problem+json", problem},
		{"application/*", object},
		{"text/plain;q=0.5, application/problem+json;q=0.9, application/json;q=0.8", problem},
		{"text/*;q=0.3, application/json;q=0.4", object},
		{"*/*;q=0.1, application/problem+json", problem},
		{"application/json;q=0, */*;q=0.5", text},
		{"text/plain;q=0, */*", object},
		{"image/png", text},
		{"APPLICATION/JSON ; Q=1.000", object},
		{"application/json;q=2, text/plain;q=nan, ;;;,,/,*/x", text},
		{"application/json;q=1.001", text},
		{strings.Repeat("a/b,", 10<<20/4) + "application/json", text},
	} {
		r := ask(h, request("/", "X-User: ann", "Accept: "+row.accept))
		if got := r.Header.Get("Content-Type"); got != row.want {
			t.Errorf("Accept %.80q: %s, want %s", row.accept, got, row.want)
		}
	}
	var p struct {
		Type, Title, Detail string
		Status              int
		Violated            []string `json:"violated-policies"`
	}
	r := ask(h, request("/", "X-User: ann", "Accept: application/problem+json"))
	if err := json.Unmarshal([]byte(bodyOf(t, r)), &p); err != nil {
		t.Fatal(err)
	}
	if p.Type != "https://iana.org/assignments/http-problem-types#quota-exceeded" || p.Status != 429 || p.Title == "" ||
		p.Detail != "Rate limit exceeded. Try again in 3600 seconds" || len(p.Violated) != 1 || p.Violated[0] != `a "b" %C3%BC` {
		t.Errorf("problem %+v", p)
	}
	checkHeaders(t, "a name made safe", r.Header, []string{`RateLimit: "a \"b\" %C3%BC";r=0;t=3600`})
}

func TestOnLimit(t *testing.T) {
	c := newClock()
	var d stint.Decision
	silent := false
	o := httplimit.Options{Limiter: c.limiter(t, stint.PerHour(1).WithBurst(1))}
	o.OnLimit = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ = httplimit.DecisionFrom(r.Context())
		if !silent {
			_, _ = io.WriteString(w, "mine")
		}
	})
	h := handler(t, answer(204), o)
	run(t, h, c, []step{
		{0, "ann", 204, nil, "", ""},
		{0, "ann", 429, []string{"Retry-After: 3600", "Cache-Control: no-store"}, "mine", "the status is 429 unless it is set"},
	})
	if d.Allowed || d.Reason != stint.Limited || d.RetryAfter != time.Hour {
		t.Errorf("decision %+v", d)
	}
	silent = true
	run(t, h, c, []step{{0, "ann", 429, nil, "", "a handler that does nothing"}, {0, "", 401, nil, "", "nor for a missing key"}})
	if d.Reason != stint.KeyMissing {
		t.Errorf("decision %+v", d)
	}
}

func TestSkip(t *testing.T) {
	c := newClock()
	h := handler(t, answer(204), httplimit.Options{
		Limiter: c.limiter(t, stint.Limit{Per: time.Second}), Skip: httplimit.SkipPaths("/health", "/static/"),
	})
	for path, status := range map[string]int{
		"/health": 204, "/healthy": 429, "/health/": 429, "/static/a/b": 204, "/static": 429, "/static/": 204,
		"/static/../api": 429, "/static/%2e%2e/api": 429, "/x/../health": 204, "//health": 204, "/": 429,
	} {
		r := request("/", "X-User: ann")
		r.URL.Path = strings.ReplaceAll(path, "%2e", ".")
		if got := ask(h, r); got.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, got.StatusCode, status)
		}
	}
}

func TestShadow(t *testing.T) {
	c := newClock()
	var d stint.Decision
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ = httplimit.DecisionFrom(r.Context())
		w.WriteHeader(204)
	})
	h := handler(t, next, httplimit.Options{Limiter: c.limiter(t, stint.PerHour(1).WithBurst(1).WithID("h")), Shadow: true})
	run(t, h, c, []step{
		{0, "ann", 204, []string{"Stint-Shadow: "}, "", "has room"},
		{0, "ann", 204, []string{"Stint-Shadow: limited", "Retry-After: ", `RateLimit: "h";r=0;t=3600`}, "", "marked, and let pass"},
	})
	if !d.Allowed || d.Reason != stint.Shadowed {
		t.Errorf("decision %+v", d)
	}
	run(t, h, c, []step{
		{0, "", 204, []string{"Stint-Shadow: no key"}, "", "what lacks the key, too"},
		{time.Hour, "ann", 204, []string{"Stint-Shadow: "}, "", "it was charged like a real one"},
	})
}

func TestBlocked(t *testing.T) {
	c := newClock()
	l := c.limiter(t, stint.PerHour(10).WithBurst(10))
	if err := l.Block(context.Background(), "ann", time.Minute); err != nil {
		t.Fatal(err)
	}
	h := handler(t, answer(204), httplimit.Options{Limiter: l, Answers: httplimit.Answers{Bodies: []httplimit.Body{httplimit.Problem{}}}})
	r := ask(h, request("/", "X-User: ann"))
	if body := bodyOf(t, r); r.StatusCode != 429 || r.Header.Get("Retry-After") != "60" || !strings.Contains(body, "abnormal-usage-detected") {
		t.Errorf("%d %v %s", r.StatusCode, r.Header, body)
	}
}

func TestJitterAndExpose(t *testing.T) {
	c := newClock()
	o := httplimit.Options{Limiter: c.limiter(t, stint.PerHour(1).WithBurst(1).WithID("h"))}
	o.Jitter, o.ExposeHeaders = 5*time.Second, true
	h := handler(t, answer(204), o)
	r := ask(h, request("/", "X-User: ann"))
	checkHeaders(t, "exposed", r.Header, []string{"Access-Control-Expose-Headers: Retry-After, Ratelimit, Ratelimit-Policy"})
	seen := map[string]bool{}
	for range 200 {
		r := ask(h, request("/", "X-User: ann"))
		wait := r.Header.Get("Retry-After")
		if bodyOf(t, r) != "Rate limit exceeded. Try again in "+wait+" seconds" {
			t.Fatal("text and header disagree")
		}
		seen[wait] = true
	}
	for wait := range seen {
		if wait < "3600" || wait > "3605" {
			t.Errorf("wait %s", wait)
		}
	}
	if len(seen) < 3 {
		t.Errorf("no jitter: %v", seen)
	}
}

func TestDecisionOfStackedHandlers(t *testing.T) {
	c := newClock()
	var d stint.Decision
	var all []stint.Decision
	last := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		d, _ = httplimit.DecisionFrom(r.Context())
		all = httplimit.DecisionsFrom(r.Context())
	})
	inner := handler(t, last, httplimit.Options{Limiter: c.limiter(t, stint.PerHour(9).WithBurst(9).WithID("inner"))})
	outer := handler(t, inner, httplimit.Options{Limiter: c.limiter(t, stint.PerHour(5).WithBurst(5).WithID("outer"))})
	r := ask(outer, request("/", "X-User: ann"))
	if d.By == nil || d.By.ID != "outer" || len(all) != 2 || all[0].By.ID != "inner" {
		t.Errorf("strictest %+v of %+v", d, all)
	}
	checkHeaders(t, "stacked", r.Header, []string{`RateLimit: "inner";r=8;t=400 | "outer";r=4;t=720`, `RateLimit-Policy: "inner";q=9;w=3600 | "outer";q=5;w=3600`})
	if _, ok := httplimit.DecisionFrom(context.Background()); ok {
		t.Error("a decision out of nowhere")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	l := newClock().limiter(t, stint.PerSecond(1))
	none := newClock().limiter(t)
	user := policy.Header("X-User")
	for _, row := range []struct {
		o    httplimit.Options
		want string
	}{
		{httplimit.Options{}, "no Limiter"},
		{httplimit.Options{Limiter: none, Key: user}, "has no limit"},
		{httplimit.Options{Limiter: l}, "no Key"},
		{httplimit.Options{Limiter: l, Key: policy.Address()}, "choose Address"},
		{httplimit.Options{Limiter: l, Key: policy.Tuple(user, policy.Address())}, "choose Address"},
		{httplimit.Options{Limiter: l, Key: user, Address: httplimit.Hops(0)}, "0 trusted hops"},
		{httplimit.Options{Limiter: l, Key: user, MissingStatus: 200}, "MissingStatus 200"},
		{httplimit.Options{Limiter: l, Key: user, MissingStatus: 403, SharedKey: "x"}, "both SharedKey"},
		{httplimit.Options{Limiter: l, Key: user, Answers: httplimit.Answers{Jitter: 1}}, "Jitter"},
		{httplimit.Options{Limiter: l, Key: user, Answers: httplimit.Answers{RetryUnknown: -1}}, "RetryUnknown"},
		{httplimit.Options{Limiter: l, Key: user, Answers: httplimit.Answers{Bodies: []httplimit.Body{nil}}}, "nil"},
		{httplimit.Options{Limiter: l, Key: user, Answers: httplimit.Answers{Headers: []httplimit.Dialect{nil}}}, "nil"},
		{httplimit.Options{Limiter: l, Key: user, Answers: httplimit.Answers{Headers: []httplimit.Dialect{httplimit.XRateLimit{}, httplimit.XRateLimit{Seconds: true}}}}, "both write"},
		{httplimit.Options{Limiter: l, Key: user, Answers: httplimit.Answers{OnLimit: answer(429), Bodies: []httplimit.Body{httplimit.Text{}}}}, "OnLimit"},
	} {
		if _, err := httplimit.Handler(answer(204), row.o); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("error %v, want one with %q", err, row.want)
		}
	}
}

func TestHostileKeys(t *testing.T) {
	c := newClock()
	l := c.limiter(t, stint.PerHour(1).WithBurst(1))
	h := handler(t, answer(204), httplimit.Options{Limiter: l})
	huge := strings.Repeat("k", 10<<20)
	for _, user := range []string{huge, huge + "2", "\x00", "\x00\x00", "\xff\xfe", "a\nb", "a,b", " ", "ünïcode", "{}", "*"} {
		first, second := request("/"), request("/")
		first.Header["X-User"], second.Header["X-User"] = []string{user}, []string{user}
		if a, b := ask(h, first), ask(h, second); a.StatusCode != 204 || b.StatusCode != 429 {
			t.Errorf("key %.20q: %d, %d", user, a.StatusCode, b.StatusCode)
		}
	}
	empty := request("/")
	empty.Header["X-User"] = []string{""}
	if r := ask(h, empty); r.StatusCode != 401 {
		t.Errorf("an empty key passed: %d", r.StatusCode)
	}
}

// What the middleware allocates is part of what it costs: one exchange and one copy of the request; and, for a refusal, the
// refusal, its detail, and the memory of its headers in place of the copy.
func TestAllocations(t *testing.T) {
	for name, row := range map[string]struct {
		limit stint.Limit
		most  float64
	}{
		"granted": {stint.PerSecond(1e9).WithBurst(1e9).WithID("many"), 2},
		"refused": {stint.PerHour(1).WithBurst(1).WithID("few"), 4},
	} {
		l := newClock().limiter(t, row.limit)
		h := handler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }), httplimit.Options{Limiter: l})
		r, w := request("/", "X-User: ann"), &sink{header: http.Header{}}
		if n := testing.AllocsPerRun(200, func() { clear(w.header); h.ServeHTTP(w, r) }); n > row.most {
			t.Errorf("%s: %v allocations a request, want at most %v", name, n, row.most)
		}
	}
}
