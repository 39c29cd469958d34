package trial_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/trial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tried = `{
	"limits": {"a": {"rate": "10/hour", "strategy": "fixed-window", "candidate": "4/hour"}, "b": {"rate": "2/hour", "strategy": "fixed-window"}},
	"routes": [
		{"name": "live", "match": {"path": "/live"}, "key": "header:X-User", "limits": ["a"]},
		{"name": "quiet", "match": {"path": "/quiet"}, "key": "header:X-User", "limits": ["b"], "mode": "shadow"},
		{"name": "plain", "match": {"path": "/plain"}, "key": "header:X-User", "limits": ["b"]}
	]
}`

func serve(t testing.TB, r *trial.Recorder) http.Handler {
	t.Helper()
	p, err := policy.Parse("test.json", []byte(tried))
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := stint.NewWith(stint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = limiter.Close() })
	h, err := httplimit.Policy(p, httplimit.PolicyOptions{Limiter: limiter, OnVerdict: r.Note})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func call(h http.Handler, path, user string, times int) {
	for range times {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("X-User", user)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

func TestReports(t *testing.T) {
	r := trial.New()
	h := serve(t, r)
	call(h, "/live", "heavy", 12) // 10 admitted, of which the candidate admits 4
	call(h, "/live", "light", 3)
	call(h, "/quiet", "heavy", 5) // 2 are within
	call(h, "/plain", "heavy", 5)
	got := map[string]trial.Report{}
	for _, report := range r.Reports() {
		got[report.Kind+" "+report.Of] = report
	}
	if len(got) != 2 {
		t.Errorf("trials: %v", got)
	}
	if c := got["candidate a"]; c.Calls != 13 || c.Refused != 6 || c.Keys != 1 || c.AtLeast || c.Percent < 46 || c.Percent > 47 {
		t.Errorf("the candidate: %+v", c)
	}
	if c := got["route quiet"]; c.Calls != 5 || c.Refused != 3 || c.Keys != 1 {
		t.Errorf("the route in shadow: %+v", c)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, nil)
	var answer struct{ Trials []trial.Report }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Trials) != 2 || answer.Trials[0].Of != "a" {
		t.Errorf("%s: %v", w.Body, err)
	}
}

func TestNothingTried(t *testing.T) {
	w := httptest.NewRecorder()
	trial.New().ServeHTTP(w, nil)
	if w.Body.String() != "{\"trials\":[]}\n" {
		t.Errorf("got %s", w.Body)
	}
}

func TestKeysAreBounded(t *testing.T) {
	r := trial.New()
	h := serve(t, r)
	for i := range trial.MaxKeys + 10 {
		call(h, "/quiet", fmt.Sprint(i), 3)
	}
	if got := r.Reports()[0]; got.Keys != trial.MaxKeys || !got.AtLeast || got.Refused != trial.MaxKeys+10 {
		t.Errorf("%+v", got)
	}
}

func ExampleRecorder() {
	recorder := trial.New() // httplimit.PolicyOptions{…, OnVerdict: recorder.Note}
	for _, r := range recorder.Reports() {
		fmt.Printf("%s would have refused %.1f %% of calls, of %d keys\n", r.Of, r.Percent, r.Keys)
	}
	// Output:
}

// What a route in shadow would have refused is not what a lost store leaves undecided.
func TestUndecidedIsNotTried(t *testing.T) {
	r := trial.New()
	r.Note(&httplimit.Verdict{Route: &policy.Route{Name: "half", EnforcePercent: 50}, Key: "k",
		Decision: stint.Decision{Reason: stint.Degraded, RetryAfter: stint.Unknown}, Decisions: []stint.Decision{{Reason: stint.Degraded, RetryAfter: stint.Unknown}}})
	if reports := r.Reports(); len(reports) != 0 {
		t.Errorf("%+v", reports)
	}
}
