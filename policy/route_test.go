package policy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

// claimed is what a call takes, in words: "LIMIT KEY COST" for each claim, or the refusal.
func claimed(p *policy.Policy, c policy.Call) string {
	r := p.Match(c)
	if r == nil {
		return "no route"
	}
	claims, refusal := r.Claims(c, nil)
	if refusal != policy.NotRefused {
		return refusal.String()
	}
	var all []string
	for _, claim := range claims {
		text := fmt.Sprintf("%s %s %s %d", claim.Limit.ID, claim.Limit, strings.Join(stint.KeyParts(claim.Key), ","), claim.Op.Max)
		if claim.Shadow {
			text += " shadow"
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func TestClaims(t *testing.T) {
	p := parse(t, `{
		"limits": {"a": "10/s", "b": {"rate": "100/hour", "burst": 200}, "free": "unlimited"},
		"plans": {"pro": {"a": "50/s", "b": "1000/hour"}, "vip": {"a": "unlimited", "b": "7/min burst 3", "free": "1/s"}},
		"routes": [
			{"match": {"path": "/plain"}, "key": "address", "limits": "a"},
			{"match": {"path": "/two"}, "key": "address", "limits": ["a", "b"], "cost": 3},
			{"match": {"path": "/named/{id}"}, "name": "n", "key": ["route", "path:id"], "limits": "a"},
			{"match": {"path": "/unnamed", "method": "GET"}, "key": "route", "limits": "a"},
			{"match": {"path": "/require"}, "require": "api-key", "key": "user", "limits": "a"},
			{"match": {"path": "/guard"}, "require": "api-key"},
			{"match": {"path": "/cost"}, "key": "address", "limits": "a", "cost": {"header": "x-cost", "max": 5}},
			{"match": {"path": "/huge"}, "key": "address", "limits": "a", "cost": {"header": "X-Cost"}},
			{"match": {"path": "/shadow"}, "key": "query:t", "limits": "a", "mode": "shadow"},
			{"match": {"path": "/off"}, "key": "address", "limits": "a", "mode": "off"},
			{"match": {"path": "/use"}, "key": "query:t", "limits": "a", "missing-key": {"use": "all"}},
			{"match": {"path": "/reject"}, "key": "query:t", "limits": "a", "missing-key": "reject"},
			{"match": {"path": "/skip"}, "key": "address", "limits": "a", "skip": [{"query": {"q": "1*"}}, {"method": "POST"}]},
			{"match": {"path": "/free"}, "key": "address", "limits": ["free", "a"]}
		]}`)
	for _, c := range []struct{ path, values, want string }{
		{"/plain", "", "a 10/s address:192.0.2.7 1"},
		{"/two", "", "a 10/s address:192.0.2.7 3; b 100/hour burst 200 address:192.0.2.7 3"},
		{"/two", "attribute plan=pro", "a 50/s address:192.0.2.7 3; b 1000/hour token-bucket address:192.0.2.7 3"},
		{"/two", "attribute plan=vip", "b 7/min burst 3 address:192.0.2.7 3"},
		{"/two", "attribute plan=other", "a 10/s address:192.0.2.7 3; b 100/hour burst 200 address:192.0.2.7 3"},
		{"/named/7", "", "a 10/s route:n,path:id:7 1"},
		{"/unnamed", "", "a 10/s route:GET /unnamed 1"},
		{"/require", "", "no API key"},
		{"/require", "header X-Api-Key=", "no API key"},
		{"/require", "header X-Api-Key=k", "a 10/s api-key:k 1"},
		{"/require", "attribute api-key=k;attribute user=u", "a 10/s user:u 1"},
		{"/guard", "", "no API key"},
		{"/guard", "header X-Api-Key=k", ""},
		{"/cost", "", "a 10/s address:192.0.2.7 1"},
		{"/cost", "header X-Cost=4", "a 10/s address:192.0.2.7 4"},
		{"/cost", "header X-Cost=6", "a 10/s address:192.0.2.7 5"},
		{"/cost", "header X-Cost=0", "a 10/s address:192.0.2.7 1"},
		{"/cost", "header X-Cost=-3", "a 10/s address:192.0.2.7 1"},
		{"/cost", "header X-Cost=2.5", "a 10/s address:192.0.2.7 1"},
		{"/cost", "header X-Cost=NaN", "a 10/s address:192.0.2.7 1"},
		{"/cost", "header X-Cost=1e99", "a 10/s address:192.0.2.7 1"},
		{"/cost", "header X-Cost=99999999999999999999", "a 10/s address:192.0.2.7 5"},
		{"/huge", "header X-Cost=99999999999999999999", fmt.Sprintf("a 10/s address:192.0.2.7 %d", int64(math.MaxInt64))},
		{"/shadow", "", ""},
		{"/shadow", "query t=x", "a 10/s query:t:x 1 shadow"},
		{"/off", "", ""},
		{"/use", "", "a 10/s fixed:all 1"},
		{"/use", "query t=", "a 10/s fixed:all 1"},
		{"/use", "query t=all", "a 10/s query:t:all 1"},
		{"/reject", "", "no key"},
		{"/reject", "query t=", "no key"},
		{"/skip", "query q=12", ""},
		{"/skip", "query q=2", "a 10/s address:192.0.2.7 1"},
		{"/free", "", "a 10/s address:192.0.2.7 1"},
		{"/free", "attribute plan=vip", "free 1/s address:192.0.2.7 1"},
		{"/elsewhere", "", "no route"},
	} {
		var values []string
		if c.values != "" {
			values = strings.Split(c.values, ";")
		}
		if got := claimed(p, get(c.path, values...)); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.path, c.values, got, c.want)
		}
	}
}

func TestClaimsAllocateOnlyKeys(t *testing.T) {
	p := parse(t, `{"limits": {"a": "10/s", "b": "9/s"}, "plans": {"pro": {"a": "50/s"}},
		"routes": [{"match": {"path": "/x"}, "key": "address", "limits": ["a", "b"]},
			{"match": {"path": "/y"}, "key": "route", "limits": ["a", "b"]}]}`)
	var room [4]stint.Claim
	for path, most := range map[string]float64{"/x": 1, "/y": 0} {
		c := get(path, "attribute plan=pro")
		got := testing.AllocsPerRun(100, func() {
			claims, _ := p.Match(c).Claims(c, room[:0])
			if len(claims) != 2 {
				t.Fatal("not two claims")
			}
		})
		if got > most {
			t.Errorf("%s: %v allocations", path, got)
		}
	}
}

func TestPlansKeepTheStrategy(t *testing.T) {
	p := parse(t, `{"limits": {
			"fixed": {"rate": "10/s", "strategy": "fixed-window"}, "bucket": "10/s burst 5", "window": "10/s", "month": "10/calendar month"},
		"plans": {"x": {"fixed": "20/s", "bucket": "20/s", "window": "20/s burst 9", "month": "20/day"}},
		"routes": [{"key": "address", "limits": ["fixed", "bucket", "window", "month"]}]}`)
	for id, want := range map[string]string{
		"fixed": "20/s fixed-window", "bucket": "20/s token-bucket", "window": "20/s burst 9", "month": "20/day",
	} {
		if got := p.Limit(id).For("x").String(); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
		if p.Limit(id).For("x").ID != id {
			t.Errorf("%s: the id is %s", id, p.Limit(id).For("x").ID)
		}
	}
}

func TestModel(t *testing.T) {
	p := parse(t, `{
		"store": "redis://u:p@host:6379/0", "store-deadline": "40ms", "instances": 3,
		"headers": ["x", "ietf"],
		"clients": {"trusted-proxies": ["10.0.0.0/8", "192.0.2.1"], "ipv6-prefix": 56},
		"limits": {"a": {"rate": "10/s", "burst": 20, "strategy": "token-bucket", "on-store-loss": "local", "on-change": "additive"}},
		"routes": [{
			"match": {"path": "/x", "host": "*.example.com"}, "key": "address", "limits": ["a"],
			"charge-on": {"status": ["2xx", "404", "500-503"], "header": "x-used"},
			"over-limit": {"format": "problem", "status": 503},
			"respond": {"status": 201, "body": "{\"a\": 1}"}}]}`)
	if p.Redacted() != "redis://…@host:6379/0" {
		t.Error(p.Redacted())
	}
	for store, want := range map[string]string{
		"postgres://host/db?user=u&password=secret": "postgres://host/db", "postgres://host/db?password=a@secret": "postgres://…",
		"redis://:sec?ret@host": "redis://…", "redis+cluster://u:se@cret@a:1,b:2/?pool=3": "redis+cluster://…@a:1,b:2/", "sqlite:/a": "sqlite:/a",
	} {
		q := policy.Policy{Store: store}
		if q.Redacted() != want {
			t.Errorf("%s is shown as %s, want %s", store, q.Redacted(), want)
		}
	}
	l := p.Limit("a")
	if l.OnStoreLoss != policy.LossLocal || p.Instances != 3 || p.StoreDeadline != 40*time.Millisecond || l.Value.OnChange != stint.CarryAdded || l.Value.Capacity() != 20 {
		t.Errorf("%+v", l)
	}
	r := p.Routes[0]
	if r.Name != "*.example.com/x" || r.OverLimit != (policy.OverLimit{Format: "problem", Status: 503}) {
		t.Errorf("%+v", r)
	}
	for status, want := range map[int]bool{199: false, 200: true, 299: true, 300: false, 404: true, 405: false, 500: true, 503: true, 504: false} {
		if r.ChargeOn.Charges(status) != want {
			t.Errorf("status %d", status)
		}
	}
	if fmt.Sprint(*r.Respond) != `{201 {"a": 1} [{Content-Type application/json}]}` {
		t.Error(*r.Respond)
	}
	if fmt.Sprint(p.Headers, p.Clients) != "[x ietf] {[10.0.0.0/8 192.0.2.1/32] 0 56}" {
		t.Error(p.Headers, p.Clients)
	}
}

func TestExplain(t *testing.T) {
	p := parse(t, `{"limits": {"bucket": {"rate": "100/hour", "strategy": "token-bucket"}, "window": "100/hour"}, "routes": [
		{"match": {"path": "/a", "method": "POST"}, "mode": "off"},
		{"match": {"path": "/a", "header": {"X-H": "1"}}, "mode": "off"},
		{"match": {"path": "/b"}, "mode": "off"},
		{"match": {"path": "/a"}, "key": ["address", "query:q"], "limits": ["bucket", "window"], "cost": 2, "skip": {"query": {"q": "no"}}}]}`)
	e := p.Explain(get("/a", "query q=x"))
	var looked []string
	for _, l := range e.Looked {
		looked = append(looked, fmt.Sprintf("%s differs in the %s", l.Route.Name, l.Differs))
	}
	if got, want := strings.Join(looked, "; "),
		`POST /a differs in the method; /a header X-H="1" differs in the header; /b differs in the path`; got != want {
		t.Errorf("looked at: %s", got)
	}
	if e.Route != p.Routes[3] || e.Key != "address:192.0.2.7, query:q:x" || e.Cost != 2 || e.Uncounted != "" {
		t.Errorf("%+v", e)
	}
	if b, w := e.Limits[0], e.Limits[1]; b.AtOnce != 100 || b.Most != 200 || w.AtOnce != 100 || w.Most != 100 {
		t.Errorf("%+v %+v", b, w)
	}
	for values, want := range map[string]string{"query q=no": "the route skips such calls", "": ""} {
		e := p.Explain(get("/a", values))
		if e.Uncounted != want {
			t.Errorf("%s: %s", values, e.Uncounted)
		}
	}
	if e := p.Explain(get("/a")); e.Refusal != policy.NoKey {
		t.Errorf("refusal %v", e.Refusal)
	}
	if e := p.Explain(get("/c")); e.Route != nil || e.Uncounted != "no route fits" || len(e.Looked) != 4 {
		t.Errorf("%+v", e)
	}
	if e := p.Explain(get("/b")); e.Uncounted != "the route has no limits" {
		t.Errorf("%+v", e)
	}
}
