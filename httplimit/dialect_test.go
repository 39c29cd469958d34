package httplimit_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
)

// headersOf is the response of one admitted request to a handler with these dialects, whose next handler sets headers itself.
func headersOf(t *testing.T, l *stint.Limiter, next http.HandlerFunc, dialects ...httplimit.Dialect) http.Header {
	t.Helper()
	h := handler(t, next, httplimit.Options{Limiter: l, Answers: httplimit.Answers{Headers: dialects}})
	return ask(h, request("/", "X-User: ann")).Header
}

// sets is a handler that sets headers, written as "Name: value".
func sets(headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(200)
	}
}

func TestDialects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Nanosecond) // 2000-01-01T00:00:00.000000001Z: resets are rounded up
		limit := stint.PerHour(100).WithBurst(10).WithID("h")
		for _, row := range []struct {
			dialect httplimit.Dialect
			want    []string
		}{
			{httplimit.IETF{}, []string{`RateLimit: "h";r=9;t=36`, `RateLimit-Policy: "h";q=10;w=360`}},
			{httplimit.IETF{Partition: func(key string) []byte { return []byte(key) }},
				[]string{`RateLimit: "h";r=9;t=36;pk=:YW5u:`, `RateLimit-Policy: "h";q=10;w=360;pk=:YW5u:`}},
			{httplimit.IETF{Paced: true}, []string{`RateLimit: "h";r=1;t=36`}},
			{httplimit.XRateLimit{}, []string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 946684837"}},
			{httplimit.XRateLimit{Seconds: true}, []string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 36"}},
			{httplimit.Draft6{}, []string{"RateLimit-Limit: 10", "RateLimit-Remaining: 9", "RateLimit-Reset: 36", "RateLimit-Policy: "}},
			{httplimit.NoHeaders{}, []string{"RateLimit: ", "X-RateLimit-Limit: ", "RateLimit-Limit: "}},
		} {
			got := headersOf(t, newClock().limiter(t, limit), sets(), row.dialect)
			checkHeaders(t, fmt.Sprintf("%s %+v", row.dialect, row.dialect), got, row.want)
			if len(got) != len(row.dialect.Fields()) {
				t.Errorf("%s: more headers than it says: %v", row.dialect, got)
			}
			if d, err := httplimit.ParseDialect(row.dialect.String()); err != nil || d.String() != row.dialect.String() {
				t.Errorf("%s does not read back: %v", row.dialect, err)
			}
		}
		if _, err := httplimit.ParseDialect("draft-99"); err == nil {
			t.Error("draft-99 was accepted")
		}
	})
}

func TestPolicyOfStrategies(t *testing.T) {
	for _, row := range []struct {
		limit stint.Limit
		want  string
	}{
		{stint.PerSecond(10).WithBurst(20), `"x";q=20;w=2`},
		{stint.PerSecond(7).WithBurst(10), `"x";q=10;w=2`},
		{stint.PerHour(1000).WithBurst(10), `"x";q=10;w=36`},
		{stint.PerHour(100), `"x";q=100;w=3600`},
		{stint.PerHour(0), `"x";q=0;w=3600`},
		{stint.Unlimited(), ""},
		{stint.Limit{Units: 5, Per: 1500 * time.Millisecond}, `"x";q=5;w=2`},
		{stint.Limit{Units: 10, Per: time.Minute, Strategy: stint.Concurrency{}}, `"x";q=10;qu="concurrent-requests"`},
		{stint.Limit{Units: 1 << 52, Per: time.Hour, Strategy: stint.TokenBucket{}}, `"x";q=999999999999999;w=3600`},
	} {
		got := headersOf(t, newClock().limiter(t, row.limit.WithID("x")), sets()).Get("RateLimit-Policy")
		if got != row.want {
			t.Errorf("%v: %s, want %s", row.limit, got, row.want)
		}
	}
}

// A handler or upstream further in has its own limits: ours are joined to them, or the stricter of both is told.
func TestMerging(t *testing.T) {
	ours := stint.PerHour(100).WithBurst(10).WithID("ours") // 9 left for 36 s after one request
	x := httplimit.XRateLimit{Seconds: true}
	for _, row := range []struct {
		why     string
		dialect httplimit.Dialect
		theirs  []string
		want    []string
	}{
		{"lists are joined", httplimit.IETF{},
			[]string{`RateLimit: "up";r=3;t=5`, `RateLimit-Policy: "up";q=5;w=10`},
			[]string{`RateLimit: "up";r=3;t=5 | "ours";r=9;t=36`, `RateLimit-Policy: "up";q=5;w=10 | "ours";q=10;w=360`}},
		{"all lines stay", httplimit.IETF{},
			[]string{`RateLimit: "a";r=3`, `RateLimit: "b";r=4`},
			[]string{`RateLimit: "a";r=3 | "b";r=4 | "ours";r=9;t=36`}},
		{"theirs is stricter", x,
			[]string{"X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 2", "X-RateLimit-Reset: 7"},
			[]string{"X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 2", "X-RateLimit-Reset: 7"}},
		{"ours is stricter", x,
			[]string{"X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4999", "X-RateLimit-Reset: 7"},
			[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 36"}},
		{"as many left, theirs for longer", x,
			[]string{"X-RateLimit-Limit: 20", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 60"},
			[]string{"X-RateLimit-Limit: 20", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 60"}},
		{"as many left, ours for longer", x,
			[]string{"X-RateLimit-Limit: 20", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 6"},
			[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 36"}},
		{"theirs makes no sense", x,
			[]string{"X-RateLimit-Limit: ?", "X-RateLimit-Remaining: plenty", "X-RateLimit-Reset: -1"},
			[]string{"X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 36"}},
		{"theirs says only what is left", x,
			[]string{"X-RateLimit-Remaining: 0"},
			[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Limit: ", "X-RateLimit-Reset: "}},
		{"the way Envoy writes", x,
			[]string{"X-RateLimit-Limit: 10, 10;w=1", "X-RateLimit-Remaining: 1", "X-RateLimit-Reset: 1"},
			[]string{"X-RateLimit-Limit: 10, 10;w=1", "X-RateLimit-Remaining: 1"}},
		{"of several the strictest stays", x,
			[]string{"X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 40", "X-RateLimit-Reset: 3",
				"X-RateLimit-Limit: 7", "X-RateLimit-Remaining: 6", "X-RateLimit-Reset: 4"},
			[]string{"X-RateLimit-Limit: 7", "X-RateLimit-Remaining: 6", "X-RateLimit-Reset: 4"}},
		{"a number beyond all others", x,
			[]string{"X-RateLimit-Limit: 1", "X-RateLimit-Remaining: 99999999999999999999", "X-RateLimit-Reset: 1"},
			[]string{"X-RateLimit-Remaining: 9"}},
		{"the trio of draft 6", httplimit.Draft6{},
			[]string{"RateLimit-Limit: 5", "RateLimit-Remaining: 2", "RateLimit-Reset: 7"},
			[]string{"RateLimit-Limit: 5", "RateLimit-Remaining: 2", "RateLimit-Reset: 7"}},
		{"another dialect is left alone", httplimit.IETF{},
			[]string{"X-RateLimit-Remaining: 99"}, []string{"X-RateLimit-Remaining: 99", `RateLimit: "ours";r=9;t=36`}},
		{"their Retry-After stays", httplimit.IETF{}, []string{"Retry-After: 77"}, []string{"Retry-After: 77"}},
	} {
		got := headersOf(t, newClock().limiter(t, ours), sets(row.theirs...), row.dialect)
		checkHeaders(t, row.why, got, row.want)
	}
}

func TestLaterRetryAfterWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct{ outside, want string }{
			{"", "3600"}, {"10", "3600"}, {"7200", "7200"}, {"nonsense", "3600"}, {"99999999999999999999", "99999999999999999999"},
			{"Sat, 01 Jan 2000 02:00:00 GMT", "Sat, 01 Jan 2000 02:00:00 GMT"}, {"Sat, 01 Jan 2000 00:30:00 GMT", "3600"},
		} {
			l := newClock().limiter(t, stint.PerHour(1).WithBurst(1))
			h := handler(t, answer(200), httplimit.Options{Limiter: l})
			outside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if row.outside != "" {
					w.Header().Set("Retry-After", row.outside)
				}
				h.ServeHTTP(w, r)
			})
			ask(outside, request("/", "X-User: ann"))
			checkHeaders(t, row.outside, ask(outside, request("/", "X-User: ann")).Header, []string{"Retry-After: " + row.want})
		}
	})
}

func TestSharedHeaderValuesStayApart(t *testing.T) {
	l := newClock().limiter(t, stint.PerHour(100).WithBurst(10).WithID("h"))
	h := handler(t, sets(), httplimit.Options{Limiter: l})
	first := ask(h, request("/", "X-User: ann")).Header
	first["Ratelimit-Policy"][0] = "spoiled"
	first.Add("Ratelimit", "spoiled")
	checkHeaders(t, "another response", ask(h, request("/", "X-User: bob")).Header,
		[]string{`RateLimit-Policy: "h";q=10;w=360`, `RateLimit: "h";r=9;t=36`})
}

func TestRenderer(t *testing.T) {
	l := newClock().limiter(t, stint.PerHour(1).WithBurst(1).WithID("h"))
	e, err := httplimit.NewRenderer(httplimit.Answers{Bodies: []httplimit.Body{httplimit.JSON{}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d, err := l.Take(t.Context(), "ann", 1)
		if err != nil {
			t.Fatal(err)
		}
		all := []stint.Decision{{Allowed: true, Reason: stint.Skipped}, d}
		h := http.Header{}
		e.WriteHeaders(h, "ann", all)
		checkHeaders(t, "headers", h, []string{`RateLimit: "h";r=0;t=3600`})
		if d.Allowed {
			continue
		}
		r := ask(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.Refuse(w, r, "ann", e.Refusal(d, all)) }), request("/"))
		checkHeaders(t, "refusal", r.Header, []string{`RateLimit: "h";r=0;t=3600`, "Retry-After: 3600", "Content-Type: application/json"})
		if r.StatusCode != 429 {
			t.Errorf("status %d", r.StatusCode)
		}
	}
	if _, err := httplimit.NewRenderer(httplimit.Answers{Jitter: -1}); err == nil {
		t.Error("a negative jitter was accepted")
	}
}

// Of handlers in a row the strictest is told, whichever of them refuses and whether or not they wrap the writer.
func TestStackedHandlersTellTheStrictest(t *testing.T) {
	for _, direct := range []bool{false, true} {
		for _, row := range []struct {
			outer, inner int64 // units an hour
			want         [][]string
		}{
			{5, 2, [][]string{
				{"X-RateLimit-Limit: 2", "X-RateLimit-Remaining: 1", "Retry-After: "},
				{"X-RateLimit-Limit: 2", "X-RateLimit-Remaining: 0", "Retry-After: "},
				{"X-RateLimit-Limit: 2", "X-RateLimit-Remaining: 0", "Retry-After: 1800"},
			}},
			{1, 9, [][]string{
				{"X-RateLimit-Limit: 1", "X-RateLimit-Remaining: 0", "Retry-After: "},
				{"X-RateLimit-Limit: 1", "X-RateLimit-Remaining: 0", "Retry-After: 3600"},
			}},
		} {
			c := newClock()
			x := httplimit.Answers{Headers: []httplimit.Dialect{httplimit.XRateLimit{Seconds: true}}, DirectWriter: direct}
			limited := func(next http.Handler, n int64) http.Handler {
				return handler(t, next, httplimit.Options{Limiter: c.limiter(t, stint.PerHour(n).WithBurst(n)), Answers: x})
			}
			h := limited(limited(sets(), row.inner), row.outer)
			for i, want := range row.want {
				checkHeaders(t, fmt.Sprintf("%d behind %d, direct %v, request %d", row.inner, row.outer, direct, i),
					ask(h, request("/", "X-User: ann")).Header, want)
			}
		}
	}
}
