package httplimit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

const callerPolicy = `{
	"limits": {"per-user": {"rate": "2/min", "strategy": "fixed-window", "candidate": "1/min"}},
	"plans": {"pro": {"per-user": "4/min"}},
	"routes": [
		{"match": {"path": "/limit"}, "require": "api-key", "key": "user", "limits": ["per-user"], "respond": {"status": 200, "body": "in"}},
		{"match": {"path": "/part"}, "key": "user", "limits": ["per-user"], "enforce": "0%", "respond": {"status": 200}},
		{"match": {"path": "/open"}, "respond": {"status": 200}}
	]
}`

// people are two users, one with two keys, and what looking them up may end in.
func people(_ context.Context, key, _ string) (*policy.Caller, error) {
	switch key {
	case "alice-1", "alice-2":
		return &policy.Caller{User: "alice", Key: key[len("alice-"):], Scopes: policy.ScopeRoutes}, nil
	case "bob":
		return &policy.Caller{User: "bob", Key: "3", Plan: "pro", Scopes: policy.ScopeRoutes}, nil
	case "deciding":
		return &policy.Caller{User: "carol", Key: "4", Scopes: policy.ScopeDecide}, nil
	case "guess":
		return nil, &policy.TriesError{RetryAfter: 1500 * time.Millisecond}
	case "lost":
		return nil, errors.New("the database is away")
	}
	return nil, fmt.Errorf("looked up: %w", policy.ErrInvalidKey)
}

func visit(h http.Handler, path, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if key != "" {
		r.Header.Set("X-API-KEY", key)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestIdentify(t *testing.T) {
	var failed []error
	h := servePolicy(t, callerPolicy, func(o *httplimit.PolicyOptions) {
		o.Identify = people
		o.OnError = func(_ *http.Request, err error) { failed = append(failed, err) }
	})
	for i, c := range []struct {
		path, key string
		status    int
		body      string
	}{
		{"/limit", "", 401, "The request lacks an API key: send it in the header X-API-KEY"},
		{"/limit", "wrong", 401, "The API key is not valid"},
		{"/limit", "deciding", 401, "The API key is not valid"},
		{"/limit", "guess", 429, "Too many API keys that are not valid. Try again in 2 seconds"},
		{"/limit", "lost", 503, "The API key cannot be checked right now"},
		{"/limit", "alice-1", 200, "in"},
		{"/limit", "alice-2", 200, "in"}, // the limit is the user's, over all keys
		{"/limit", "alice-1", 429, "Rate limit exceeded. Try again in"},
		{"/limit", "bob", 200, "in"},
		{"/limit", "bob", 200, "in"},
		{"/limit", "bob", 200, "in"},
		{"/limit", "bob", 200, "in"},
		{"/limit", "bob", 429, "Rate limit exceeded. Try again in"},
		{"/open", "wrong", 200, ""}, // nobody asks who calls
	} {
		w := visit(h, c.path, c.key)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("call %d, %s with %q: got %d %q, want %d %q", i, c.path, c.key, w.Code, w.Body, c.status, c.body)
		}
		if w.Code == 401 && !strings.Contains(w.Header().Get("WWW-Authenticate"), "X-Api-Key") {
			t.Errorf("call %d: the 401 asks for %q", i, w.Header().Get("WWW-Authenticate"))
		}
		for _, line := range append(w.Header()["Ratelimit"], w.Header()["Ratelimit-Policy"]...) {
			if strings.Contains(line, "candidate") {
				t.Errorf("call %d: the client is told of the candidate: %s", i, line)
			}
		}
		if w.Header().Get("Stint-Shadow") != "" {
			t.Errorf("call %d is marked as in shadow: only a candidate would refuse it", i)
		}
	}
	if len(failed) != 1 || failed[0].Error() != "the database is away" {
		t.Errorf("told of the errors %v", failed)
	}
}

// A route that enforces for none of the keys lets all pass, and marks those that it would refuse.
func TestEnforceNone(t *testing.T) {
	h := servePolicy(t, callerPolicy, func(o *httplimit.PolicyOptions) { o.Identify = people })
	for i := range 4 {
		w := visit(h, "/part", "alice-1")
		if w.Code != 200 || (w.Header().Get("Stint-Shadow") != "") != (i >= 2) {
			t.Errorf("call %d: %d, marked %q", i, w.Code, w.Header().Get("Stint-Shadow"))
		}
	}
}

func TestVerdicts(t *testing.T) {
	var told []string
	h := servePolicy(t, callerPolicy, func(o *httplimit.PolicyOptions) {
		o.Identify = people
		o.OnVerdict = func(v *httplimit.Verdict) {
			user := "nobody"
			if v.Caller != nil {
				user = v.Caller.User
			}
			text := fmt.Sprintf("%s %s %v %v %s", v.Route.Name, user, v.Decision.Allowed, v.Decision.Reason, v.Key)
			for _, d := range v.Decisions {
				if id, ok := policy.CandidateOf(d.By.ID); ok {
					text += fmt.Sprintf(" %s would: %v", id, d.Reason != stint.Shadowed)
				}
			}
			if v.Err != nil {
				text += " " + v.Err.Error()
			}
			told = append(told, text)
		}
	})
	visit(h, "/limit", "")
	visit(h, "/limit", "lost")
	for range 3 {
		visit(h, "/limit", "alice-1")
	}
	visit(h, "/open", "")
	visit(h, "/nowhere", "")
	want := []string{
		"/limit nobody false no key ",
		"/limit nobody false degraded  the database is away",
		"/limit alice true admitted user:alice per-user would: true",
		"/limit alice true admitted user:alice per-user would: false",
		"/limit alice false limited user:alice per-user would: false",
		"/open nobody true skipped ",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}
