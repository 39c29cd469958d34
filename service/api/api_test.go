package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/deny"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/redisstore"
	"github.com/stint-go/stint/service/api"
	"github.com/stint-go/stint/storetest/servers"
)

func TestMain(m *testing.M) { servers.MainWithoutLeaks(m) }

const testPolicy = `{
	"api": {"own-limits": ["scripts"]},
	"limits": {
		"hourly": {"rate": "5/hour", "strategy": "fixed-window"},
		"bucket": {"rate": "10/hour", "strategy": "interval-bucket", "candidate": "2/hour"},
		"free": "unlimited"
	},
	"plans": {"pro": {"hourly": "8/hour"}},
	"routes": [
		{"name": "things", "match": {"path": "/things/**", "method": "POST"}, "key": "user", "limits": ["hourly", "bucket"], "cost": 2},
		{"name": "by-address", "match": {"path": "/open"}, "key": "address", "limits": ["bucket"]},
		{"name": "quiet", "match": {"path": "/quiet"}, "key": "user", "limits": ["hourly"], "mode": "shadow"},
		{"name": "keyed", "match": {"path": "/keyed"}, "require": "api-key", "key": "user", "limits": ["hourly"]}
	]
}`

// people are callers by their API keys.
var people = map[string]*policy.Caller{
	"decider": {User: "app", Key: "k1", Scopes: policy.ScopeDecide},
	"manager": {User: "ops", Key: "k2", Scopes: policy.ScopeDecide | policy.ScopeManage},
	"script":  {User: "scripts", Key: "k3", Scopes: policy.ScopeDecide},
	"caller":  {User: "alice", Key: "k4", Plan: "pro", Scopes: policy.ScopeRoutes},
}

func identify(_ context.Context, key, _ string) (*policy.Caller, error) {
	if caller := people[key]; caller != nil {
		return caller, nil
	}
	return nil, policy.ErrInvalidKey
}

// service is an instance of the API under test.
type service struct {
	http.Handler
	t       testing.TB
	policy  atomic.Pointer[policy.Policy]
	now     atomic.Int64
	mu      sync.Mutex
	counted []api.Counted
	failed  []error
}

func parsed(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("test.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve is an instance on a store, which others may share.
func serve(t testing.TB, store stint.Store) *service {
	t.Helper()
	limiter, err := stint.NewWith(stint.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t}
	s.policy.Store(parsed(t, testPolicy))
	s.now.Store(time.Now().UnixNano())
	s.Handler, err = api.New(api.Options{
		Limiter: limiter, Store: store, Policy: s.policy.Load, Identify: identify, Secret: bytes.Repeat([]byte("s"), 32),
		Now: func() time.Time { return time.Unix(0, s.now.Load()) },
		Counted: func(c api.Counted) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.counted = append(s.counted, c)
		},
		OnError: func(_ *http.Request, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.failed = append(s.failed, err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func memory(t testing.TB) stint.Store {
	t.Helper()
	m, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func redis(t testing.TB) stint.Store {
	t.Helper()
	m, err := redisstore.Open(t.Context(), servers.NewRedis(t, servers.RedisOptions{}).Address(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// document is the OpenAPI document, which every request and answer of the tests is held to.
var document = sync.OnceValue(func() routers.Router {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		panic(err)
	}
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return router
})

// object is an answer.
type object = map[string]any

// post sends a body with a key, holds both ways to the document, and reads the answer.
func (s *service) post(path, key, body string, headers ...string) (int, object) {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	route, params, err := document().FindRoute(r)
	if err != nil {
		s.t.Fatalf("%s is not in the document: %v", path, err)
	}
	input := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if w.Code == 200 {
		r.Body = io.NopCloser(strings.NewReader(body))
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			s.t.Errorf("%s took what the document does not allow: %s: %v", path, body, err)
		}
	}
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: w.Code, Header: w.Header()}
	response.SetBodyBytes(w.Body.Bytes())
	if err := openapi3filter.ValidateResponse(context.Background(), response); err != nil {
		s.t.Errorf("%s answered %d %s, which the document does not allow: %v", path, w.Code, w.Body, err)
	}
	var answer object
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		s.t.Fatalf("%s: %d %q", path, w.Code, w.Body)
	}
	return w.Code, answer
}

// take is the decision on a body.
func (s *service) take(body string, headers ...string) object {
	s.t.Helper()
	code, answer := s.post("/v1/take", "decider", body, headers...)
	if code != 200 {
		s.t.Fatalf("take %s: %d %v", body, code, answer)
	}
	return answer
}

func (s *service) left(key string) any {
	s.t.Helper()
	_, answer := s.post("/v1/peek", "decider", fmt.Sprintf(`{"limit": "hourly", "key": %q}`, key))
	return answer["remaining"]
}

func TestTake(t *testing.T) {
	s := serve(t, memory(t))
	for i := range 6 {
		d := s.take(`{"limit": "hourly", "key": "a"}`)
		if d["allowed"] != (i < 5) || d["limit"] != "hourly" || d["capacity"] != 5.0 || d["remaining"] != float64(max(0, 4-i)) {
			t.Errorf("call %d: %v", i, d)
		}
		if wait := d["retry_after"].(float64); (wait > 0) != (i == 5) {
			t.Errorf("call %d: retry after %v", i, wait)
		}
	}
	if d := s.take(`{"limit": "hourly", "key": "b", "cost": 6}`); d["reason"] != "never" || d["retry_after"] != nil {
		t.Errorf("more than there ever is: %v", d)
	}
	if d := s.take(`{"limit": "hourly", "key": "b", "cost": 6, "plan": "pro"}`); d["allowed"] != true || d["capacity"] != 8.0 {
		t.Errorf("under a plan: %v", d)
	}
	if d := s.take(`{"limit": "free", "key": "b", "cost": 600}`); d["reason"] != "skipped" {
		t.Errorf("unlimited: %v", d)
	}
	if d := s.take(`{"limit": "hourly", "key": ["a", "b"]}`); d["remaining"] != 4.0 {
		t.Errorf("a key of two parts: %v", d)
	}
	if d := s.take(`{"limit": "hourly", "key": "dry", "dry_run": true}`); d["remaining"] != 5.0 || s.left("dry") != 5.0 {
		t.Errorf("a dry run: %v", d)
	}
	// All or nothing: a is empty, so nothing is taken of c.
	d := s.take(`{"claims": [{"limit": "hourly", "key": "c"}, {"limit": "hourly", "key": "a"}]}`)
	if claims := d["claims"].([]any); d["allowed"] != false || claims[0].(object)["allowed"] != true || claims[1].(object)["allowed"] != false || s.left("c") != 5.0 {
		t.Errorf("all or nothing: %v", d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.counted[0]; first != (api.Counted{User: "app", Key: "k1", Route: "limit hourly", Admitted: true, Units: 1}) {
		t.Errorf("counted %+v", first)
	}
}

func TestTakeByPolicy(t *testing.T) {
	s := serve(t, memory(t))
	d := s.take(`{"request": {"method": "POST", "path": "/things/1", "user": "bob"}}`)
	if d["allowed"] != true || d["route"] != "things" || len(d["claims"].([]any)) != 2 || d["remaining"] != 3.0 {
		t.Errorf("bob: %v", d)
	}
	if d := s.take(`{"request": {"method": "POST", "path": "/things/1", "user": "bob"}, "cost": 3}`); d["allowed"] != true || d["remaining"] != 0.0 {
		t.Errorf("bob, at a cost: %v", d)
	}
	if d := s.take(`{"request": {"method": "POST", "path": "/things/1"}}`); d["allowed"] != false || d["reason"] != "no key" {
		t.Errorf("nobody: %v", d)
	}
	if d := s.take(`{"request": {"path": "/nowhere"}}`); d["allowed"] != true || d["reason"] != "skipped" {
		t.Errorf("no route: %v", d)
	}
	for _, address := range []string{"192.0.2.7", "2001:db8::1"} {
		if d := s.take(fmt.Sprintf(`{"request": {"path": "/open", "address": %q}}`, address)); d["remaining"] != 9.0 {
			t.Errorf("%s: %v", address, d)
		}
	}
	if d := s.take(`{"request": {"path": "/open", "address": "2001:db8::2"}}`); d["remaining"] != 8.0 {
		t.Errorf("the same network: %v", d)
	}
	if d := s.take(`{"request": {"path": "/keyed", "api_key": "caller"}}`); d["capacity"] != 8.0 {
		t.Errorf("by an API key: %v", d)
	}
	for _, body := range []string{`{"request": {"path": "/keyed", "api_key": "unknown"}}`, `{"request": {"path": "/keyed"}}`, `{"request": {"path": "/keyed", "headers": {"x-api-key": "unknown"}}}`} {
		if d := s.take(body); d["allowed"] != false || d["reason"] != "no key" {
			t.Errorf("%s: %v", body, d)
		}
	}
	for range 7 {
		if d := s.take(`{"request": {"path": "/quiet", "user": "eve"}}`); d["allowed"] != true {
			t.Errorf("in shadow: %v", d)
		}
	}
}

// A batch gets what its calls get one by one.
func TestBatchIsOneByOne(t *testing.T) {
	for name, store := range map[string]func(testing.TB) stint.Store{"memory": memory, "Redis": redis} {
		t.Run(name, func(t *testing.T) {
			together, apart := serve(t, store(t)), serve(t, memory(t))
			var calls []string
			for i := range 60 {
				calls = append(calls, []string{
					fmt.Sprintf(`{"limit": "hourly", "key": "%s k%d"}`, t.Name(), i%4),
					fmt.Sprintf(`{"limit": "bucket", "key": "%s k%d", "cost": %d}`, t.Name(), i%3, i%5),
					`{"limit": "free", "key": "x"}`,
				}[i%3])
			}
			answer := together.take(`{"calls": [` + strings.Join(calls, ",") + `]}`)
			for i, d := range answer["decisions"].([]any) {
				one := apart.take(calls[i])
				if got := d.(object); got["allowed"] != one["allowed"] || got["remaining"] != one["remaining"] || got["reason"] != one["reason"] || got["limit"] != one["limit"] || got["value"] != one["value"] {
					t.Errorf("call %d %s: in the batch %v, alone %v", i, calls[i], got, one)
				}
			}
		})
	}
}

func TestWrongRequests(t *testing.T) {
	s := serve(t, memory(t))
	many := `{"calls": [` + strings.Repeat(`{"limit": "hourly", "key": "a"},`, 1024) + `{"limit": "hourly", "key": "a"}]}`
	for i, c := range []struct {
		path, key, body string
		code            int
		want            string
	}{
		{"/v1/take", "", `{}`, 401, "missing"},
		{"/v1/take", "unknown", `{}`, 401, "not valid"},
		{"/v1/take", "caller", `{}`, 403, "scope decide"},
		{"/v1/reset", "decider", `{}`, 403, "scope manage"},
		{"/v1/take", "decider", ``, 400, "there is no body"},
		{"/v1/take", "decider", `{"limit": "hourly", "key": "a"} x`, 400, "behind the object"},
		{"/v1/take", "decider", `{"limit": "hourly", "key": "a"} {}`, 400, "behind the object"},
		{"/v1/take", "decider", `{"limit": "hourly", "ky": "a"}`, 400, `unknown field "ky"`},
		{"/v1/take", "decider", `{"limit": "hourly", "key": 5}`, 400, "wanted is a"},
		{"/v1/take", "decider", `{"limit": "hourly", "key": "a", "cost": 1.5}`, 400, "cost"},
		{"/v1/take", "decider", `{"limit": "hourly", "key": "a", "cost": -1}`, 422, "cost: a whole number"},
		{"/v1/take", "decider", `{"limit": "hourly", "key": ""}`, 422, "key: a text"},
		{"/v1/take", "decider", `{"limit": "hourly"}`, 422, "key: a text"},
		{"/v1/take", "decider", `{"key": "a"}`, 422, "limit: which limit"},
		{"/v1/take", "decider", `{"limit": "hourley", "key": "a"}`, 422, `did you mean "hourly"?`},
		{"/v1/take", "decider", `{}`, 422, "say one of"},
		{"/v1/take", "decider", `{"limit": "hourly", "key": "a", "claims": [{"limit": "hourly", "key": "a"}]}`, 422, "say one of"},
		{"/v1/take", "decider", `{"calls": []}`, 422, "from 1 to 1024"},
		{"/v1/take", "decider", many, 422, "from 1 to 1024"},
		{"/v1/take", "decider", `{"calls": [{"limit": "hourly", "key": "a"}, {"limit": "x", "key": "a"}]}`, 422, "calls[1].limit: the policy has no limit"},
		{"/v1/take", "decider", `{"calls": [{"limit": "hourly", "key": "a"}, {}]}`, 422, "calls[1]: say one of"},
		{"/v1/take", "decider", `{"claims": [{"limit": "hourly", "key": "a"}, {"limit": "hourly", "key": ""}]}`, 422, "claims[1].key: a text"},
		{"/v1/take", "decider", `{"calls": [{"claims": [{"limit": "hourly", "key": "a"}, {"limit": "hourly", "key": "a", "cost": -1}]}]}`, 422, "calls[0].claims[1].cost: a whole"},
		{"/v1/take", "decider", `{"calls": [{"claims": [` + strings.Repeat(`{"limit": "hourly", "key": "a"},`, 16) + `{"limit": "hourly", "key": "a"}]}]}`, 422, "calls[0].claims: 17 claims"},
		{"/v1/take", "decider", `{"request": {"path": "x"}}`, 422, "request.path"},
		{"/v1/take", "decider", `{"limit": {"id": "x", "rate": "5/hour"}, "key": "a"}`, 403, "own-limits"},
		{"/v1/take", "script", `{"limit": {"id": "x", "rate": "5/month"}, "key": "a"}`, 422, "limit.rate"},
		{"/v1/take", "decider", `{"limit": "hourly", "key": "` + strings.Repeat("x", 1<<20) + `"}`, 413, "larger"},
		{"/v1/take", "decider", `{"limit": "hourly", "key": "` + strings.Repeat("x", 2000) + `"}`, 422, "1024 bytes"},
		{"/v1/reserve", "decider", `{"calls": [{"limit": "hourly", "key": "a"}]}`, 422, "one call"},
		{"/v1/commit", "decider", `{"reservation": "x"}`, 422, "actual"},
		{"/v1/commit", "decider", `{"reservation": "x", "actual": 1}`, 400, "not one that this service has given"},
		{"/v1/cancel", "decider", `{}`, 422, "missing"},
		{"/v1/refund", "decider", `{"receipt": "s1.AAAA"}`, 400, "not one"},
		{"/v1/block", "manager", `{"limit": "hourly", "key": "a"}`, 422, "seconds"},
		{"/v1/block", "manager", `{"limit": "hourly", "key": "a", "seconds": -1}`, 422, "seconds"},
		{"/v1/explain", "decider", `{"limit": "hourly", "key": "a"}`, 422, "request"},
	} {
		code, answer := s.post(c.path, c.key, c.body)
		if detail := fmt.Sprint(answer["detail"]); code != c.code || !strings.Contains(detail, c.want) {
			t.Errorf("%d: %s %.80s: %d %s, want %d and %q", i, c.path, c.body, code, detail, c.code, c.want)
		}
	}
	if left := s.left("a"); left != 5.0 {
		t.Errorf("what was refused has taken: %v left", left)
	}
}

func TestOwnLimits(t *testing.T) {
	s := serve(t, memory(t))
	for i := range 4 {
		code, d := s.post("/v1/take", "script", `{"limit": {"id": "hourly", "rate": "3/hour fixed-window"}, "key": "a"}`)
		if code != 200 || d["allowed"] != (i < 3) {
			t.Errorf("call %d: %d %v", i, code, d)
		}
	}
	if s.left("a") != 5.0 {
		t.Error("a caller's own limit is counted with the policy's of the same id")
	}
}

func TestReservations(t *testing.T) {
	for name, store := range map[string]func(testing.TB) stint.Store{"memory": memory, "Redis": redis} {
		t.Run(name, func(t *testing.T) {
			shared := store(t)
			a, b := serve(t, shared), serve(t, shared) // two instances
			key := t.Name()
			reserve := func() string {
				_, d := a.post("/v1/reserve", "decider", fmt.Sprintf(`{"limit": "hourly", "key": %q, "cost": 4}`, key))
				r, _ := d["reservation"].(string)
				return r
			}
			first := reserve()
			if code, d := b.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": 1}`, first)); code != 200 || d["returned"] != 3.0 {
				t.Errorf("committed below: %d %v", code, d)
			}
			for _, path := range []string{"/v1/commit", "/v1/cancel"} {
				body := fmt.Sprintf(`{"reservation": %q}`, first)
				if path == "/v1/commit" {
					body = fmt.Sprintf(`{"reservation": %q, "actual": 2}`, first)
				}
				if code, _ := a.post(path, "decider", body); code != 409 {
					t.Errorf("settled twice by %s: %d", path, code)
				}
			}
			if left := a.left(key); left != 4.0 {
				t.Errorf("%v left, want 4", left)
			}
			several := fmt.Sprintf(`{"claims": [{"limit": "hourly", "key": "%[1]s s", "cost": 1}, {"limit": "bucket", "key": %[1]q, "cost": 8}]}`, key)
			_, d := a.post("/v1/reserve", "decider", several)
			both := d["reservation"].(string)
			for actual, want := range map[string]int{`3`: 422, `{"nowhere": 3}`: 422, `{"bucket": -1}`: 422, `{"bucket": "3"}`: 400} {
				if code, d := a.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": %s}`, both, actual)); code != want {
					t.Errorf("of two limits %s was committed: %d %v", actual, code, d)
				}
			}
			if code, d := b.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": {"bucket": 3}}`, both)); code != 200 || d["returned"] != 5.0 || d["charged"] != 0.0 || a.left(key+" s") != 4.0 {
				t.Errorf("of two limits one was committed: %d %v, %v left of the other", code, d, a.left(key+" s"))
			}
			second := reserve()
			if reserve() != "" {
				t.Error("there was no room")
			}
			// One that is altered is worth nothing, as is one of the other kind.
			if code, _ := a.post("/v1/cancel", "decider", fmt.Sprintf(`{"reservation": %q}`, second[:len(second)-4]+"AAAA")); code != 400 {
				t.Errorf("altered: %d", code)
			}
			if code, _ := a.post("/v1/refund", "decider", fmt.Sprintf(`{"receipt": %q}`, second)); code != 400 {
				t.Errorf("a reservation for a receipt: %d", code)
			}
			if code, _ := a.post("/v1/cancel", "script", fmt.Sprintf(`{"reservation": %q}`, second)); code != 400 {
				t.Errorf("by another user: %d", code)
			}
			if code, d := b.post("/v1/cancel", "decider", fmt.Sprintf(`{"reservation": %q}`, second)); code != 200 || d["returned"] != 4.0 || a.left(key) != 4.0 {
				t.Errorf("cancelled: %d %v, %v left", code, d, a.left(key))
			}
			third := reserve()
			if code, d := a.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": 5}`, third)); code != 200 || d["charged"] != 1.0 || a.left(key) != 0.0 {
				t.Errorf("committed above: %d %v", code, d)
			}
			// What was taken under values that have changed is worth nothing, and one of yesterday is not taken.
			a2 := serve(t, shared)
			_, d = a2.post("/v1/reserve", "decider", fmt.Sprintf(`{"limit": "hourly", "key": "%s x", "cost": 4}`, key))
			a2.policy.Store(parsed(t, strings.Replace(testPolicy, "5/hour", "6/hour", 1)))
			if code, answer := a2.post("/v1/cancel", "decider", fmt.Sprintf(`{"reservation": %q}`, d["reservation"])); code != 200 || answer["voided"] != true || answer["returned"] != 0.0 {
				t.Errorf("after a change: %d %v", code, answer)
			}
			b.now.Add(int64(25 * time.Hour))
			if code, _ := b.post("/v1/cancel", "decider", fmt.Sprintf(`{"reservation": %q}`, third)); code != 410 {
				t.Errorf("a day later: %d", code)
			}
		})
	}
}

func TestRefunds(t *testing.T) {
	s := serve(t, memory(t))
	d := s.take(`{"claims": [{"limit": "hourly", "key": "a", "cost": 2}, {"limit": "bucket", "key": "a", "cost": 3}], "receipt": true}`)
	receipt, _ := d["receipt"].(string)
	if code, answer := s.post("/v1/refund", "decider", fmt.Sprintf(`{"receipt": %q}`, receipt)); code != 200 || answer["returned"] != 3.0 || s.left("a") != 5.0 {
		t.Errorf("%d %v", code, answer)
	}
	if code, _ := s.post("/v1/refund", "decider", fmt.Sprintf(`{"receipt": %q}`, receipt)); code != 409 {
		t.Errorf("twice: %d", code)
	}
	receipt, _ = s.take(`{"limit": "hourly", "key": "v", "receipt": true}`)["receipt"].(string)
	if code, answer := s.post("/v1/reset", "manager", `{"limit": "hourly", "key": "v"}`); code != 200 && code != 204 {
		t.Fatalf("%d %v", code, answer)
	}
	for _, want := range []int{200, 409} {
		if code, answer := s.post("/v1/refund", "decider", fmt.Sprintf(`{"receipt": %q}`, receipt)); code != want || want == 200 && answer["returned"] != 0.0 {
			t.Errorf("of a take from before a reset: %d %v, want %d", code, answer, want)
		}
	}
	if d := s.take(`{"limit": "hourly", "key": "a", "cost": 9, "receipt": true}`); d["receipt"] != nil {
		t.Errorf("a receipt for nothing: %v", d)
	}
}

func TestIdempotency(t *testing.T) {
	for name, store := range map[string]func(testing.TB) stint.Store{"memory": memory, "Redis": redis} {
		t.Run(name, func(t *testing.T) {
			shared := store(t)
			instances := []*service{serve(t, shared), serve(t, shared)}
			key := t.Name()
			body := fmt.Sprintf(`{"limit": "hourly", "key": %q, "cost": 2}`, key)
			var wait sync.WaitGroup
			var replayed atomic.Int64
			for i := range 50 {
				wait.Go(func() {
					d := instances[i%2].take(body, "Idempotency-Key", key)
					if d["allowed"] != true || d["limit"] != "hourly" {
						t.Errorf("try %d: %v", i, d)
					}
					if d["replayed"] == true {
						replayed.Add(1)
					}
				})
			}
			wait.Wait()
			if left := instances[0].left(key); left != 3.0 || replayed.Load() != 49 {
				t.Errorf("50 tries of one call left %v of 5, and %d were replayed", left, replayed.Load())
			}
			for i, s := range instances {
				if code, answer := s.post("/v1/take", "decider", strings.Replace(body, "2}", "1}", 1), "Idempotency-Key", key); code != 422 {
					t.Errorf("another body at instance %d: %d %v", i, code, answer)
				}
			}
			// Another caller's key is another key.
			if _, d := instances[0].post("/v1/take", "manager", body, "Idempotency-Key", key); d["allowed"] != true || d["replayed"] == true {
				t.Errorf("another caller: %v", d)
			}
			// What is refused is not remembered.
			tooMuch := fmt.Sprintf(`{"limit": "hourly", "key": %q, "cost": 2}`, key)
			if d := instances[0].take(tooMuch, "Idempotency-Key", key+"2"); d["allowed"] != false {
				t.Errorf("more than is left: %v", d)
			}
			_, _ = instances[0].post("/v1/reset", "manager", fmt.Sprintf(`{"limit": "hourly", "key": %q}`, key))
			if d := instances[1].take(tooMuch, "Idempotency-Key", key+"2"); d["allowed"] != true || d["replayed"] == true {
				t.Errorf("tried again when there is room: %v", d)
			}
			batch := fmt.Sprintf(`{"calls": [{"limit": "hourly", "key": "%[1]s x"}, {"limit": "hourly", "key": "%[1]s y"}]}`, key)
			for try := range 2 {
				for _, d := range instances[try].take(batch, "Idempotency-Key", key+"3")["decisions"].([]any) {
					if d.(object)["remaining"] != 4.0 || (d.(object)["replayed"] == true) != (try == 1) {
						t.Errorf("batch, try %d: %v", try, d)
					}
				}
			}
		})
	}
}

func TestBlockAndReset(t *testing.T) {
	s := serve(t, memory(t))
	s.take(`{"limit": "hourly", "key": "a", "cost": 5}`)
	if code, _ := s.post("/v1/reset", "manager", `{"limit": "hourly", "key": "a"}`); code != 200 || s.left("a") != 5.0 {
		t.Errorf("reset: %d, %v left", code, s.left("a"))
	}
	if code, _ := s.post("/v1/block", "manager", `{"limit": "hourly", "key": "a", "seconds": 60.5}`); code != 200 {
		t.Errorf("block: %d", code)
	}
	if d := s.take(`{"limit": "hourly", "key": "a"}`); d["reason"] != "blocked" || d["retry_after"].(float64) > 60.5 || d["retry_after"].(float64) < 50 {
		t.Errorf("blocked: %v", d)
	}
	s.post("/v1/block", "manager", `{"limit": "hourly", "key": "a", "seconds": 0}`)
	if d := s.take(`{"limit": "hourly", "key": "a"}`); d["allowed"] != true {
		t.Errorf("the block is lifted: %v", d)
	}
}

func TestExplain(t *testing.T) {
	s := serve(t, memory(t))
	code, e := s.post("/v1/explain", "decider", `{"request": {"method": "POST", "path": "/things/1", "user": "bob"}}`)
	if limits := e["limits"].([]any); code != 200 || e["route"] != "things" || len(limits) != 2 || limits[1].(object)["candidate"] == nil || e["decision"].(object)["remaining"] != 5.0 {
		t.Errorf("%d %v", code, e)
	}
	if _, e := s.post("/v1/explain", "decider", `{"request": {"path": "/nowhere"}}`); e["route"] != nil || len(e["looked"].([]any)) != 4 || e["why"] != "no route fits" {
		t.Errorf("%v", e)
	}
	if d := s.take(`{"request": {"method": "POST", "path": "/things/1", "user": "bob"}}`); d["remaining"] != 3.0 {
		t.Errorf("an explanation has taken: %v", d)
	}
}

// Everything in the document is served, and the reverse.
// A body whose length is not told is bounded as one whose length is.
func TestBodyOfUnknownLength(t *testing.T) {
	s := serve(t, memory(t))
	for size, want := range map[int]int{api.MaxBody: 422, api.MaxBody + 1: 413} {
		const before, after = `{"limit": "hourly", "key": "`, `"}`
		r := httptest.NewRequest(http.MethodPost, "/v1/take", strings.NewReader(before+strings.Repeat("x", size-len(before+after))+after))
		r.Header.Set("X-API-KEY", "decider")
		r.ContentLength = -1
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%d bytes: %d %s, want %d", size, w.Code, w.Body, want)
		}
	}
}

// Answers say how long they are, the short ones and the long ones.
func TestLengthOfAnswers(t *testing.T) {
	server := httptest.NewServer(serve(t, memory(t)))
	defer server.Close()
	const call = `{"limit": "hourly", "key": "a"}`
	for _, body := range []string{call, `{"calls": [` + strings.Repeat(call+",", 63) + call + `]}`} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/take", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-KEY", "decider")
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || res.ContentLength != int64(len(answer)) {
			t.Errorf("%s: an answer of %d bytes says that it has %d, %v", res.Status, len(answer), res.ContentLength, err)
		}
	}
}

// The calls of a batch are counted by the limits that they name.
func TestBatchIsCountedByLimit(t *testing.T) {
	s := serve(t, memory(t))
	s.take(`{"calls": [{"limit": "hourly", "key": "a"}, {"limit": "free", "key": "a"}, {"claims": [{"limit": "bucket", "key": "a"}, {"limit": "hourly", "key": "a"}]}, {"limit": "hourly", "key": "b"}]}`)
	var routes []string
	for _, c := range s.counted {
		routes = append(routes, c.Route)
	}
	if want := []string{"limit hourly", "limit free", "limit bucket", "limit hourly"}; !slices.Equal(routes, want) {
		t.Errorf("counted by %q, want %q", routes, want)
	}
}

// Limits keep their own texts in answers, however many there are.
func TestManyLimitsInAnswers(t *testing.T) {
	s := serve(t, memory(t))
	for round := range 2 {
		for i := range 300 {
			code, d := s.post("/v1/take", "script", fmt.Sprintf(`{"limit": {"id": "l%d", "rate": "%d/hour"}, "key": "a"}`, i, i+5))
			if value := fmt.Sprintf("%d/hour", i+5); code != 200 || d["value"] != value || !strings.HasSuffix(fmt.Sprint(d["limit"]), fmt.Sprint("l", i)) {
				t.Fatalf("round %d: %d %v, want %s", round, code, d, value)
			}
		}
	}
}

func TestDocument(t *testing.T) {
	s := serve(t, memory(t))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/openapi.yaml", nil))
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for path := range doc.Paths.Map() {
		paths = append(paths, path)
		if path == "/v1/openapi.yaml" {
			continue
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		if w.Code != 401 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
		w = httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 405 || w.Header().Get("Allow") != "POST" {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
	slices.Sort(paths)
	want := []string{"/v1/block", "/v1/cancel", "/v1/commit", "/v1/explain", "/v1/openapi.yaml", "/v1/peek", "/v1/refund", "/v1/reserve", "/v1/reset", "/v1/take"}
	if !slices.Equal(paths, want) {
		t.Errorf("the document has %v", paths)
	}
}

func FuzzTake(f *testing.F) {
	s := serve(f, memory(f))
	for _, body := range []string{`{"limit": "hourly", "key": "a"}`, `{"calls": [{"claims": [{"limit": {"id": "x", "rate": "1/s"}, "key": ["a"]}]}]}`, `{"request": {"path": "/x", "headers": {"a\n": "b"}}}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/v1/take", strings.NewReader(body))
		r.Header.Set("X-API-KEY", "script")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}

func BenchmarkTake(b *testing.B) {
	s := serve(b, memory(b))
	for name, body := range map[string]string{
		"one": `{"limit": "bucket", "key": "alice"}`,
		"64":  `{"calls": [` + strings.Repeat(`{"limit": "bucket", "key": "alice"},`, 63) + `{"limit": "bucket", "key": "alice"}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/v1/take", strings.NewReader(body))
				r.Header.Set("X-API-KEY", "decider")
				s.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}

// Who guesses keys is known by the caller's address, which a trusted proxy tells, and nobody else.
func TestAddressOfCallers(t *testing.T) {
	var seen []string
	store := memory(t)
	limiter, err := stint.NewWith(stint.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	p := parsed(t, `{"clients": {"trusted-proxies": ["10.0.0.0/8"]}, "routes": [{"mode": "off"}]}`)
	h, err := api.New(api.Options{Limiter: limiter, Store: store, Policy: func() *policy.Policy { return p }, Secret: bytes.Repeat([]byte("s"), 32),
		Identify: func(_ context.Context, _, address string) (*policy.Caller, error) {
			seen = append(seen, address)
			return nil, policy.ErrInvalidKey
		}})
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"10.0.0.1:5", "192.0.2.1:5"} {
		r := httptest.NewRequest(http.MethodPost, "/v1/take", strings.NewReader("{}"))
		r.RemoteAddr = from
		r.Header.Set("X-Forwarded-For", "198.51.100.7")
		r.Header.Set("Authorization", "Bearer x")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if !slices.Equal(seen, []string{"198.51.100.7", "192.0.2.1"}) {
		t.Errorf("addresses %q", seen)
	}
}

// Where the store holds fewer keys than there are, a marker of a call that never came may look taken. Then nobody knows, and nothing is
// admitted for it: or whoever sends many idempotency keys would pass every limit.
func TestIdempotencyInAFlood(t *testing.T) {
	store, err := stint.NewMemory(stint.MemoryOptions{MaxKeys: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := serve(t, store)
	unknown := 0
	for i := range 20_000 {
		code, d := s.post("/v1/take", "decider", `{"limit": "free", "key": "x"}`)
		if i%2 == 0 {
			code, d = s.post("/v1/take", "decider", fmt.Sprintf(`{"limit": "bucket", "key": "k%d"}`, i), "Idempotency-Key", fmt.Sprint("new ", i))
		}
		if code == http.StatusServiceUnavailable {
			unknown++
		} else if d["replayed"] == true {
			t.Fatalf("call %d, which is new, is said to have been admitted before: %v", i, d)
		}
	}
	if unknown == 0 {
		t.Error("the store was never full: the test asks for more keys")
	}
}

// lostStore is a shared store that is lost, behind what decides then.
func lostStore(t *testing.T, choices map[string]failover.Choice) stint.Store {
	t.Helper()
	store, err := failover.New(lost{memory(t)}, failover.Options{Choices: choices})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// lost is a store that does not answer.
type lost struct{ stint.Store }

func (lost) One(context.Context, *stint.Limit, string, stint.Op) (stint.Answer, stint.Mark, error) {
	return stint.Answer{}, 0, errors.New("lost")
}
func (lost) All(context.Context, []stint.Claim, []stint.Outcome) error  { return errors.New("lost") }
func (lost) Many(context.Context, []stint.Claim, []stint.Outcome) error { return errors.New("lost") }

// A call with an idempotency key gets what any other does while the store is lost; no marker can be had then.
func TestIdempotencyWithoutTheStore(t *testing.T) {
	s := serve(t, lostStore(t, map[string]failover.Choice{"hourly": failover.Open}))
	for _, headers := range [][]string{nil, {"Idempotency-Key", "one"}} {
		if d := s.take(`{"limit": "hourly", "key": "alice"}`, headers...); d["allowed"] != true || d["degraded"] != true {
			t.Errorf("open, %v: %v", headers, d)
		}
	}
}

// A limit that is closed while the store is lost makes no decision: nobody knows.
func TestClosedWithoutTheStore(t *testing.T) {
	s := serve(t, lostStore(t, nil))
	for path, body := range map[string]string{
		"/v1/take": `{"limit": "hourly", "key": "alice"}`, "/v1/peek": `{"limit": "hourly", "key": "alice"}`, "/v1/reserve": `{"limit": "hourly", "key": "alice"}`,
	} {
		if code, d := s.post(path, "decider", body); code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %v", path, code, d)
		}
	}
	if code, d := s.post("/v1/take", "decider", `{"limit": "hourly", "key": "alice"}`, "Idempotency-Key", "one"); code != http.StatusServiceUnavailable {
		t.Errorf("idempotent: %d %v", code, d)
	}
	for _, d := range s.take(`{"calls": [{"limit": "hourly", "key": "alice"}, {"limit": "hourly", "key": "bob"}]}`)["decisions"].([]any) {
		if d.(object)["reason"] != "error" {
			t.Errorf("one of many: %v", d)
		}
	}
	if len(s.counted) > 0 {
		t.Errorf("counted as refused: %v", s.counted)
	}
	if len(s.failed) != 5 { // once for a request, whatever it held
		t.Errorf("told of %v", s.failed)
	}
}

// A reservation can be committed on every limit that it names, those of which it took nothing yet among them; a name that it does not
// hold is a mistake, not nothing.
func TestCommitOfWhatWasNotTaken(t *testing.T) {
	s := serve(t, memory(t))
	_, d := s.post("/v1/reserve", "decider", `{"claims": [{"limit": "hourly", "key": "alice"}, {"limit": "bucket", "key": "alice", "cost": 0}]}`)
	commit := func(actual string) (int, object) {
		return s.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": %s}`, d["reservation"], actual))
	}
	if code, answer := commit(`{"hourly": 1, "buckett": 7}`); code != 422 || !strings.Contains(fmt.Sprint(answer["detail"]), "buckett") {
		t.Errorf("a limit that it does not hold: %d %v", code, answer)
	}
	if code, answer := commit(`{"hourly": 1, "bucket": 7}`); code != 200 || answer["charged"] != 7.0 {
		t.Errorf("a limit of which nothing was taken: %d %v", code, answer)
	}
	if _, now := s.post("/v1/peek", "decider", `{"limit": "bucket", "key": "alice"}`); now["remaining"] != 3.0 {
		t.Errorf("after 7 of 10 were committed: %v", now)
	}
	_, d = s.post("/v1/reserve", "decider", `{"limit": "bucket", "key": "bob", "cost": 0}`)
	if code, answer := commit(`2`); code != 200 || answer["charged"] != 2.0 {
		t.Errorf("nothing was taken, and something was committed: %d %v", code, answer)
	}
}

// An explanation of a request with a key that is not valid says what the request would get; it is not the asker's key.
func TestExplainOfAnInvalidKey(t *testing.T) {
	s := serve(t, memory(t))
	code, d := s.post("/v1/explain", "decider", `{"request": {"path": "/keyed", "api_key": "nobody's"}}`)
	if code != 200 || d["route"] != "keyed" || d["decision"].(object)["reason"] != "no key" {
		t.Errorf("%d %v", code, d)
	}
}

// The key of a request is looked up as a door would: within its scopes, from its client's address as the policy has it, and one client who
// has guessed too often spoils no other call.
func TestKeyOfARequest(t *testing.T) {
	limiter, err := stint.NewWith(stint.Options{Store: memory(t)})
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	p := parsed(t, testPolicy)
	h, err := api.New(api.Options{
		Limiter: limiter, Store: memory(t), Policy: func() *policy.Policy { return p }, Secret: bytes.Repeat([]byte("s"), 32),
		Identify: func(ctx context.Context, key, address string) (*policy.Caller, error) {
			if key == "guess" {
				addresses = append(addresses, address)
				return nil, &policy.TriesError{RetryAfter: 7 * time.Second}
			}
			return identify(ctx, key, address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Handler: h, t: t}
	calls := func(keys ...string) string {
		var all []string
		for i, key := range keys {
			all = append(all, fmt.Sprintf(`{"request": {"path": "/keyed", "api_key": %q, "address": "2001:db8::%d"}}`, key, i+1))
		}
		return `{"calls": [` + strings.Join(all, ",") + `]}`
	}
	got := s.take(calls("caller", "guess", "guess", "decider"))["decisions"].([]any)
	for i, want := range []string{"true admitted 0", "false blocked 7", "false blocked 7", "false no key <nil>"} {
		d := got[i].(object)
		if text := fmt.Sprint(d["allowed"], d["reason"], d["retry_after"]); strings.ReplaceAll(text, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("call %d: %v, want %s", i, d, want)
		}
	}
	if len(addresses) != 2 || addresses[0] != addresses[1] {
		t.Errorf("two addresses of one network are asked for as %q", addresses)
	}
}

// A store that remembers refusals, as the service puts before a shared one, tells the markers of idempotency keys apart all the same.
func TestIdempotencyBehindRefusalsThatAreRemembered(t *testing.T) {
	inner := memory(t)
	remembering := func() stint.Store {
		store, err := deny.New(inner, deny.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	a, b := serve(t, remembering()), serve(t, remembering())
	for _, body := range []string{`{"limit": "hourly", "key": "alice", "cost": 2}`, `{"claims": [{"limit": "hourly", "key": "bob", "cost": 5}, {"limit": "bucket", "key": "bob"}]}`} {
		key := fmt.Sprint("key of ", body)
		if d := a.take(body, "Idempotency-Key", key); d["allowed"] != true || d["replayed"] == true {
			t.Errorf("first: %v", d)
		}
		for try := range 5 {
			if d := b.take(body, "Idempotency-Key", key); d["allowed"] != true || d["replayed"] != true {
				t.Errorf("try %d: %v", try, d)
			}
			if code, d := b.post("/v1/take", "decider", strings.Replace(body, "}", `, "plan": "pro"}`, 1), "Idempotency-Key", key); code != 422 {
				t.Errorf("another body, try %d: %d %v", try, code, d)
			}
		}
	}
	if left := a.left("alice"); left != 3.0 {
		t.Errorf("%v left of alice's", left)
	}
}

// A call that a new policy overtakes gets a receipt of the policy by which it was decided, which is worth nothing under the new one.
func TestReceiptOfThePolicyThatDecided(t *testing.T) {
	store := memory(t)
	limiter, err := stint.NewWith(stint.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	first, second := parsed(t, testPolicy), parsed(t, strings.Replace(testPolicy, "5/hour", "6/hour", 1))
	looks := 0
	h, err := api.New(api.Options{Limiter: limiter, Store: store, Identify: identify, Secret: bytes.Repeat([]byte("s"), 32),
		Policy: func() *policy.Policy {
			if looks++; looks <= 2 { // of the caller's address, and of the call
				return first
			}
			return second
		}})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Handler: h, t: t}
	d := s.take(`{"limit": "hourly", "key": "alice", "cost": 3, "receipt": true}`)
	if d["value"] == nil || !strings.HasPrefix(d["value"].(string), "5/") {
		t.Fatalf("%v", d)
	}
	if code, answer := s.post("/v1/refund", "decider", fmt.Sprintf(`{"receipt": %q}`, d["receipt"])); code != 200 || answer["voided"] != true || answer["returned"] != 0.0 {
		t.Errorf("%d %v", code, answer)
	}
}

// A key of long parts holds bytes that are no text. Its receipts and reservations are its own all the same.
func TestReceiptsOfLongKeys(t *testing.T) {
	s := serve(t, memory(t))
	key := fmt.Sprintf(`[%q, "b"]`, strings.Repeat("a", 200))
	_, d := s.post("/v1/reserve", "decider", fmt.Sprintf(`{"limit": "hourly", "key": %s, "cost": 4}`, key))
	if code, answer := s.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": 1}`, d["reservation"])); code != 200 || answer["returned"] != 3.0 {
		t.Errorf("committed: %d %v", code, answer)
	}
	d = s.take(fmt.Sprintf(`{"limit": "hourly", "key": %s, "cost": 2, "receipt": true}`, key))
	if code, answer := s.post("/v1/refund", "decider", fmt.Sprintf(`{"receipt": %q}`, d["receipt"])); code != 200 || answer["returned"] != 2.0 {
		t.Errorf("refunded: %d %v", code, answer)
	}
	if _, d := s.post("/v1/peek", "decider", fmt.Sprintf(`{"limit": "hourly", "key": %s}`, key)); d["remaining"] != 4.0 {
		t.Errorf("left: %v", d)
	}
}

// uncertain is a store whose refunds fail while it is down, before or after they took effect.
type uncertain struct {
	stint.Store
	down, after bool
}

func (u *uncertain) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	if !u.down {
		return u.Store.Refund(ctx, l, key, op, nonce)
	}
	if u.after {
		_, _, _ = u.Store.Refund(ctx, l, key, op, nonce)
	}
	return stint.Answer{}, 0, errors.New("the store is lost")
}

// A commit in whose middle the store fails can be sent again, at the same cost: what is done stays done, the rest is done then.
func TestCommitAgainAfterAFailure(t *testing.T) {
	for _, after := range []bool{false, true} {
		store := &uncertain{Store: memory(t), after: after}
		s := serve(t, store)
		_, d := s.post("/v1/reserve", "decider", `{"claims": [{"limit": "hourly", "key": "alice", "cost": 4}, {"limit": "bucket", "key": "alice", "cost": 8}]}`)
		commit := func(actual string) (int, object) {
			return s.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": %s}`, d["reservation"], actual))
		}
		store.down = true
		if code, answer := commit(`{"hourly": 1, "bucket": 9}`); code != http.StatusServiceUnavailable {
			t.Errorf("while the store is down: %d %v", code, answer)
		}
		store.down = false
		if code, answer := commit(`{"hourly": 2, "bucket": 9}`); code != http.StatusConflict {
			t.Errorf("at another cost: %d %v", code, answer)
		}
		if code, answer := commit(`{"hourly": 1, "bucket": 9}`); code != http.StatusOK || answer["charged"] != 1.0 || answer["returned"] != map[bool]float64{false: 3, true: 0}[after] {
			t.Errorf("again, the refund being done %v: %d %v", after, code, answer)
		}
		if code, answer := commit(`{"hourly": 1, "bucket": 9}`); code != http.StatusConflict {
			t.Errorf("a third time: %d %v", code, answer)
		}
		if left := s.left("alice"); left != 4.0 {
			t.Errorf("%v left of 5 after 1", left)
		}
		if _, now := s.post("/v1/peek", "decider", `{"limit": "bucket", "key": "alice"}`); now["remaining"] != 1.0 {
			t.Errorf("after 9 of 10: %v", now)
		}
	}
}

// forgetful is a store that loses, while it is told to, the answers to calls with a charge in them, before or after they took effect.
type forgetful struct {
	stint.Store
	lose, after bool
}

func (f *forgetful) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	loses := f.lose && slices.ContainsFunc(claims, func(c stint.Claim) bool { return c.Op.Kind() == stint.Charge })
	if loses && !f.after {
		return errors.New("the answer is lost")
	}
	err := f.Store.All(ctx, claims, into)
	if loses {
		return errors.New("the answer is lost")
	}
	return err
}

// A charge above the reservation is made once, whether its answer was lost before it took effect or after, and whether or not somebody
// blocked the key meanwhile.
func TestChargeAgainAfterALostAnswer(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, blocked := range []bool{false, true} {
			store := &forgetful{Store: memory(t), after: after}
			s := serve(t, store)
			_, d := s.post("/v1/reserve", "decider", `{"limit": "bucket", "key": "alice", "cost": 2}`)
			commit := func() (int, object) {
				return s.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": 5}`, d["reservation"]))
			}
			store.lose = true
			if code, answer := commit(); code != http.StatusServiceUnavailable {
				t.Errorf("while the answer is lost: %d %v", code, answer)
			}
			store.lose = false
			if blocked {
				s.post("/v1/block", "manager", `{"limit": "bucket", "key": "alice", "seconds": 60}`)
			}
			code, answer := commit()
			if after && code != http.StatusConflict || !after && (code != http.StatusOK || answer["charged"] != 3.0) {
				t.Errorf("again, the charge being done %v: %d %v", after, code, answer)
			}
			if code, answer := commit(); code != http.StatusConflict {
				t.Errorf("a third time: %d %v", code, answer)
			}
			if blocked {
				s.post("/v1/block", "manager", `{"limit": "bucket", "key": "alice", "seconds": 0}`)
			}
			if _, now := s.post("/v1/peek", "decider", `{"limit": "bucket", "key": "alice"}`); now["remaining"] != 5.0 {
				t.Errorf("after 5 of 10, the charge being done %v, blocked %v: %v", after, blocked, now)
			}
		}
	}
}

// Whoever reserves and commits need not know that nothing limits the call.
func TestReservationOfWhatIsUnlimited(t *testing.T) {
	s := serve(t, memory(t))
	_, d := s.post("/v1/reserve", "decider", `{"limit": "free", "key": "alice", "cost": 4}`)
	for _, actual := range []string{`7`, `{"free": 7}`} {
		if code, answer := s.post("/v1/commit", "decider", fmt.Sprintf(`{"reservation": %q, "actual": %s}`, d["reservation"], actual)); code != 200 || answer["charged"] != 0.0 {
			t.Errorf("%s: %d %v", actual, code, answer)
		}
	}
	if code, answer := s.post("/v1/cancel", "decider", fmt.Sprintf(`{"reservation": %q}`, d["reservation"])); code != 200 || answer["returned"] != 0.0 {
		t.Errorf("%d %v", code, answer)
	}
}

// A call that waits for another under the same idempotency key leaves when its caller does.
func TestWaitForAnotherCallEnds(t *testing.T) {
	store := &slow{Store: memory(t), begun: make(chan struct{}), end: make(chan struct{})}
	s := serve(t, store)
	send := func(ctx context.Context) int {
		r := httptest.NewRequestWithContext(ctx, "POST", "/v1/take", strings.NewReader(`{"limit": "hourly", "key": "alice"}`))
		r.Header.Set("X-API-Key", "decider")
		r.Header.Set("Idempotency-Key", "one")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	first := make(chan int)
	go func() { first <- send(t.Context()) }()
	<-store.begun
	gone, leave := context.WithCancel(t.Context())
	leave()
	if code := send(gone); code != http.StatusServiceUnavailable {
		t.Errorf("the second: %d", code)
	}
	close(store.end)
	if code := <-first; code != http.StatusOK {
		t.Errorf("the first: %d", code)
	}
}

// slow is a store whose first call of several claims takes until it is told to end.
type slow struct {
	stint.Store
	once       sync.Once
	begun, end chan struct{}
}

func (s *slow) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	s.once.Do(func() {
		close(s.begun)
		<-s.end
	})
	return s.Store.All(ctx, claims, into)
}
