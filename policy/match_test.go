package policy_test

import (
	"fmt"
	"testing"

	"github.com/stint-go/stint/policy"
)

func TestMatchAspects(t *testing.T) {
	for _, c := range []struct {
		match string // as JSON
		call  *call
		want  policy.Aspect
	}{
		{`{}`, get("/any"), policy.Nothing},
		{`{"path": "/a"}`, get("/b"), policy.ThePath},
		{`{"method": "GET"}`, get("/"), policy.Nothing},
		{`{"method": ["POST", "PUT"]}`, get("/"), policy.TheMethod},
		{`{"method": "GET"}`, &call{method: "HEAD", path: "/"}, policy.Nothing},
		{`{"method": "HEAD"}`, get("/"), policy.TheMethod},
		{`{"method": "GET"}`, &call{method: "get", path: "/"}, policy.TheMethod},
		{`{"host": "example.com"}`, get("/"), policy.Nothing},
		{`{"host": "*.example.com"}`, get("/"), policy.TheHost},
		{`{"host": "*.com"}`, get("/"), policy.Nothing},
		{`{"header": {"x-a": "1"}}`, get("/", "header X-A=1"), policy.Nothing},
		{`{"header": {"X-A": "1"}}`, get("/", "header X-A=12"), policy.AHeader},
		{`{"header": {"X-A": "*"}}`, get("/", "header X-A="), policy.Nothing},
		{`{"header": {"X-A": "*"}}`, get("/"), policy.AHeader},
		{`{"header": {"X-A": ""}}`, get("/", "header X-A="), policy.Nothing},
		{`{"query": {"q": "a*c"}}`, get("/", "query q=a/b/c"), policy.Nothing},
		{`{"query": {"q": "a*c", "r": "1"}}`, get("/", "query q=abc"), policy.AQueryValue},
		{`{"address": "192.0.2.0/24"}`, get("/"), policy.Nothing},
		{`{"address": ["10.0.0.0/8", "192.0.2.7"]}`, get("/"), policy.Nothing},
		{`{"address": "192.0.2.8"}`, get("/"), policy.TheAddress},
		{`{"address": "2001:db8::/32"}`, &call{path: "/", address: "2001:db8:1:2::/64"}, policy.Nothing},
		{`{"address": "2001:db8:1:2::/64"}`, &call{path: "/", address: "2001:db8:1:2::/64"}, policy.Nothing},
		{`{"address": "2001:db8:1:2::/80"}`, &call{path: "/", address: "2001:db8:1:2::/64"}, policy.TheAddress},
		{`{"address": "0.0.0.0/0"}`, &call{path: "/"}, policy.TheAddress},
		{`{"address": "0.0.0.0/0"}`, &call{path: "/", address: "unix"}, policy.TheAddress},
		{`{"address": "0.0.0.0/0"}`, &call{path: "/", address: "::1"}, policy.TheAddress},
	} {
		p := parse(t, fmt.Sprintf(`{"routes": [{"match": %s, "mode": "off"}]}`, c.match))
		if got := p.Routes[0].Match.Differs(c.call); got != c.want {
			t.Errorf("%s: differs in %q, want %q", c.match, got, c.want)
		}
	}
}

func TestRoutesThatNeverHold(t *testing.T) {
	for _, c := range []struct {
		first, second string
		covered       bool
	}{
		{`{}`, `{"path": "/a"}`, true},
		{`{"path": "/a"}`, `{}`, false},
		{`{"path": "/**"}`, `{}`, true},
		{`{"path": "/**/x"}`, `{"path": "/**/x"}`, true},
		{`{"path": "/**/x"}`, `{"path": "/**/x", "method": "GET"}`, true},
		{`{"path": "/a/*"}`, `{"path": "/a/{id}"}`, true},
		{`{"path": "/a/*"}`, `{"path": "/a/"}`, false},
		{`{"path": "/a/b*"}`, `{"path": "/a/bc"}`, true},
		{`{"path": "/a/b*"}`, `{"path": "/a/*"}`, false},
		{`{"path": "/a/**"}`, `{"path": "/a"}`, true},
		{`{"path": "/a/**"}`, `{"path": "/a/b/**/c"}`, true},
		{`{"method": "GET"}`, `{"method": "HEAD"}`, true},
		{`{"method": "HEAD"}`, `{"method": "GET"}`, false},
		{`{"method": ["GET", "POST"]}`, `{"method": ["POST", "PUT"]}`, false},
		{`{"host": "*.a.com"}`, `{"host": "x.a.com"}`, true},
		{`{"host": "*.a.com"}`, `{"host": "*.x.a.com"}`, true},
		{`{"host": "x.a.com"}`, `{"host": "*.a.com"}`, false},
		{`{"host": "x.a.com"}`, `{"host": "x.a.com", "path": "/a"}`, true},
		{`{"query": {"q": "*"}}`, `{"query": {"q": "1", "r": "2"}}`, true},
		{`{"query": {"q": "1"}}`, `{"query": {"q": "2"}}`, false},
		{`{"address": "10.0.0.0/8"}`, `{"address": ["10.1.0.0/16", "10.2.3.4"]}`, true},
		{`{"address": "10.0.0.0/8"}`, `{"address": ["10.1.0.0/16", "192.0.2.1"]}`, false},
	} {
		p := parse(t, fmt.Sprintf(`{"routes": [{"match": %s, "mode": "off"}, {"match": %s, "mode": "off"}]}`, c.first, c.second))
		if got := len(p.Warnings) > 0; got != c.covered {
			t.Errorf("%s, then %s: covered %v, want %v", c.first, c.second, got, c.covered)
		}
		if p.Routes[0].Name == p.Routes[1].Name {
			t.Errorf("two routes named %s", p.Routes[0].Name)
		}
	}
}
