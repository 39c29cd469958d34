package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace/noop"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const watched = `{
	"limits": {"small": {"rate": "10/hour", "strategy": "fixed-window"}},
	"routes": [
		{"name": "counted", "match": {"path": "/counted"}, "key": "header:X-User", "limits": ["small"]},
		{"name": "keyed", "match": {"path": "/keyed"}, "require": "api-key", "respond": {"status": 204}}
	]
}`

// serve is a policy whose verdicts are told to note, behind a handler around it.
func serve(t *testing.T, store stint.Store, note func(*httplimit.Verdict)) http.Handler {
	t.Helper()
	p, err := policy.Parse("test.json", []byte(watched))
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := stint.NewWith(stint.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = limiter.Close() })
	h, err := httplimit.Policy(p, httplimit.PolicyOptions{Limiter: limiter, OnVerdict: note})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func memory(t *testing.T) stint.Store {
	t.Helper()
	m, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func call(h http.Handler, path, user string, headers ...string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("X-User", user)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
}

func TestMetrics(t *testing.T) {
	m := telemetry.NewMetrics("v1")
	m.Gauge("stint_something", "A gauge.", func() float64 { return 42 })
	h := serve(t, telemetry.NewStore(memory(t), m, noop.NewTracerProvider().Tracer("")), m.Note)
	for range 12 {
		call(h, "/counted", "secret-user")
	}
	call(h, "/keyed", "x")
	m.Undecided("/v1/take")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := w.Body.String()
	for _, want := range []string{
		`stint_requests_total{outcome="admitted",route="counted"} 10`,
		`stint_requests_total{outcome="refused",route="counted"} 2`,
		`stint_requests_total{outcome="unauthorized",route="keyed"} 1`,
		`stint_requests_total{outcome="undecided",route="/v1/take"} 1`,
		`stint_decisions_total{limit="small",reason="limited"} 2`,
		`stint_near_limit_total{limit="small"} 1`,
		`stint_store_call_seconds_count{failed="no",operation="one"} 12`,
		`stint_build_info{version="v1"} 1`,
		`stint_something 42`,
		`go_goroutines`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(text, "secret-user") {
		t.Error("a key is a label")
	}
}

// However many routes and limits there are, labels stay few.
func TestLabelsAreBounded(t *testing.T) {
	m := telemetry.NewMetrics("v1")
	for i := range 3 * telemetry.MaxLabels {
		m.Note(&httplimit.Verdict{Route: &policy.Route{Name: fmt.Sprint("route", i)}})
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if n := strings.Count(w.Body.String(), "stint_requests_total{"); n != telemetry.MaxLabels+1 {
		t.Errorf("%d labels", n)
	}
}

// Decisions are counted by limit and reason, those of limits beyond the bound together.
func TestDecisionsByLimitAndReason(t *testing.T) {
	m := telemetry.NewMetrics("v1")
	for range 2 {
		for i := range telemetry.MaxLabels + 10 {
			by := &stint.Limit{ID: fmt.Sprint("limit", i)}
			m.Decided(&stint.Decision{By: by, Reason: stint.Limited})
			m.Decided(&stint.Decision{By: by, Reason: stint.Blocked})
			m.Decided(&stint.Decision{By: by, Reason: 200})
		}
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, reason := range []string{"limited", "blocked", "unknown"} {
		for limit, n := range map[string]int{"limit0": 2, "limit499": 2, "other": 20} {
			if want := fmt.Sprintf("stint_decisions_total{limit=%q,reason=%q} %d\n", limit, reason, n); !strings.Contains(w.Body.String(), want) {
				t.Errorf("there is no %s", want)
			}
		}
	}
	if strings.Contains(w.Body.String(), `reason="admitted"`) {
		t.Error("a reason that never was is shown")
	}
}

func TestRefusals(t *testing.T) {
	var log bytes.Buffer
	r, err := telemetry.NewRefusals(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h := serve(t, memory(t), r.Note)
	for range 500 {
		call(h, "/counted", "secret-user")
	}
	if n := strings.Count(log.String(), "msg=refused"); n < 1 || n > 5 {
		t.Errorf("490 refusals are logged in %d lines:\n%s", n, &log)
	}
	if text := log.String(); strings.Contains(text, "secret-user") || !strings.Contains(text, "limit=small") || !strings.Contains(text, telemetry.Hashed("header:X-User:secret-user")) {
		t.Errorf("logged: %s", text)
	}
}

// Spans reach a collector, continue the caller's trace and hold what was decided.
func TestTraces(t *testing.T) {
	var mu sync.Mutex
	var spans []string
	var ids []string
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &sent); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range sent.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					spans, ids = append(spans, span.Name), append(ids, fmt.Sprintf("%x", span.TraceId))
				}
			}
		}
	}))
	defer fake.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", fake.URL)
	tracing, err := telemetry.NewTracing(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	h := tracing.Handler(serve(t, telemetry.NewStore(memory(t), telemetry.NewMetrics("v1"), tracing.Tracer()), tracing.Note))
	const parent = "0af7651916cd43dd8448eb211c80319c"
	call(h, "/counted", "alice", "traceparent", "00-"+parent+"-b7ad6b7169203331-01")
	if err := tracing.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if text := fmt.Sprint(spans); text != "[stint.store.one GET counted]" && text != "[GET counted stint.store.one]" {
		t.Errorf("spans %v", spans)
	}
	for _, id := range ids {
		if id != parent {
			t.Errorf("a span of the trace %s, not of the caller's", id)
		}
	}
}

func TestTracesAreOff(t *testing.T) {
	tracing, err := telemetry.NewTracing(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	next := http.NotFoundHandler()
	if fmt.Sprintf("%p", tracing.Handler(next)) != fmt.Sprintf("%p", next) {
		t.Error("without a collector requests go through a handler more")
	}
	tracing.Note(&httplimit.Verdict{Request: httptest.NewRequest(http.MethodGet, "/", nil), Route: &policy.Route{}})
	if err := errors.Join(tracing.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

func ExampleHashed() {
	fmt.Println(telemetry.Hashed("user:alice") == telemetry.Hashed("user:alice"), len(telemetry.Hashed("user:alice")))
	// Output: true 12
}

// A limit that a caller sends has no label of its own: its id is the caller's text, behind the user's name.
func TestOwnLimitsAreOneLabel(t *testing.T) {
	m := telemetry.NewMetrics("test")
	for i := range 2 * telemetry.MaxLabels {
		m.Decided(&stint.Decision{Allowed: true, Limit: 10, Remaining: 9, By: &stint.Limit{ID: "own~" + stint.Key(strings.Repeat("u", 128), fmt.Sprint(i))}})
	}
	m.Decided(&stint.Decision{Allowed: true, Limit: 10, Remaining: 9, By: &stint.Limit{ID: "hourly"}})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{`stint_decisions_total{limit="own~",reason="admitted"} 1000`, `stint_decisions_total{limit="hourly",reason="admitted"} 1`} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
}

// Less than a tenth is left of a limit below ten when nothing is.
func TestNearSmallLimits(t *testing.T) {
	m := telemetry.NewMetrics("test")
	for _, c := range []struct{ limit, left int64 }{{5, 1}, {5, 0}, {10, 1}, {10, 0}, {15, 2}, {15, 1}, {20, 2}, {20, 1}} {
		m.Decided(&stint.Decision{Allowed: true, Limit: c.limit, Remaining: c.left, By: &stint.Limit{ID: fmt.Sprint("of-", c.limit)}})
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, limit := range []int{5, 10, 15, 20} {
		if line := fmt.Sprintf("stint_near_limit_total{limit=\"of-%d\"} 1\n", limit); !strings.Contains(w.Body.String(), line) {
			t.Errorf("there is no %s", line)
		}
	}
}

// A store that is lost is logged once, elsewhere: its calls are not refused, and fill no log.
func TestUndecidedIsNoRefusal(t *testing.T) {
	var log bytes.Buffer
	r, err := telemetry.NewRefusals(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Note(&httplimit.Verdict{Route: &policy.Route{Name: "r"}, Key: "k", Decision: stint.Decision{Reason: stint.Degraded, RetryAfter: stint.Unknown}})
	if log.Len() > 0 {
		t.Errorf("logged: %s", &log)
	}
}
