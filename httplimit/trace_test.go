package httplimit_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

// clock is virtual time for a store.
type clock struct{ now int64 }

func newClock() *clock { return &clock{now: 1_000_000_000 * int64(time.Second/stint.Tick)} }

func (c *clock) advance(d time.Duration) { c.now += int64(d / stint.Tick) }

// limiter is a limiter in virtual time.
func (c *clock) limiter(t testing.TB, limits ...stint.Limit) *stint.Limiter {
	t.Helper()
	store, err := stint.NewMemory(stint.MemoryOptions{Clock: func() int64 { return c.now }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := stint.NewWith(stint.Options{Store: store}, limits...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(); _ = store.Close() })
	return l
}

// handler is a handler with these options, counted by the header X-User unless they say otherwise.
func handler(t testing.TB, next http.Handler, o httplimit.Options) http.Handler {
	t.Helper()
	if o.Key.String() == "" {
		o.Key = policy.Header("X-User")
	}
	h, err := httplimit.Handler(next, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// answer is a handler that answers with a status.
func answer(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// request is a GET with headers written as "Name: value".
func request(target string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// ask sends the request to the handler.
func ask(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// step is one request of a trace: at a time, by a user, and what the response must be. Headers are written as
// "Name: value", several lines joined by " | "; a missing one as "Name: ".
type step struct {
	at     time.Duration
	user   string
	status int
	want   []string
	body   string
	why    string
}

func run(t *testing.T, h http.Handler, c *clock, steps []step) {
	t.Helper()
	start := c.now
	for i, s := range steps {
		c.now = start + int64(s.at/stint.Tick)
		r := request("/")
		if s.user != "" {
			r.Header.Set("X-User", s.user)
		}
		got := ask(h, r)
		if got.StatusCode != s.status {
			t.Errorf("step %d (%s): status %d, want %d", i, s.why, got.StatusCode, s.status)
		}
		checkHeaders(t, s.why, got.Header, s.want)
		if s.body != "" {
			if body := bodyOf(t, got); body != s.body {
				t.Errorf("step %d (%s): body %q, want %q", i, s.why, body, s.body)
			}
		}
	}
}

func checkHeaders(t *testing.T, why string, got http.Header, want []string) {
	t.Helper()
	for _, w := range want {
		name, value, _ := strings.Cut(w, ": ")
		if g := strings.Join(got.Values(name), " | "); g != value {
			t.Errorf("%s: %s is %q, want %q", why, name, g, value)
		}
	}
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	var b strings.Builder
	if _, err := copyAll(&b, r.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
