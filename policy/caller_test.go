package policy_test

import (
	"fmt"
	"testing"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

const callersPolicy = `{
	"limits": {
		"hourly": {"rate": "100/hour", "strategy": "fixed-window"},
		"tried": {"rate": "100/hour", "strategy": "token-bucket", "candidate": "50/hour"}
	},
	"plans": {"pro": {"hourly": "1000/hour"}},
	"routes": [
		{"match": {"path": "/u"}, "key": "user", "limits": ["hourly"]},
		{"match": {"path": "/k"}, "key": ["api-key", "route"], "limits": ["hourly"], "enforce": "25%"},
		{"match": {"path": "/t"}, "key": "address", "limits": ["tried"]},
		{"match": {"path": "/r"}, "require": "api-key", "respond": {"status": 204}}
	]
}`

// What a caller has for itself comes before its plan, and that before what all have.
func TestValueFor(t *testing.T) {
	p := parse(t, callersPolicy)
	hourly := p.Limit("hourly")
	own := func(text string) map[string]string { return map[string]string{"hourly": text} }
	for _, c := range []struct {
		name   string
		caller *policy.Caller
		want   string
	}{
		{"nobody", nil, "100/hour fixed-window"},
		{"no plan", &policy.Caller{User: "a"}, "100/hour fixed-window"},
		{"plan", &policy.Caller{Plan: "pro"}, "1000/hour fixed-window"},
		{"unknown plan", &policy.Caller{Plan: "gold"}, "100/hour fixed-window"},
		{"own", &policy.Caller{Plan: "pro", Values: own("7/min")}, "7/min fixed-window"},
		{"own strategy", &policy.Caller{Values: own("7/min token-bucket")}, "7/min token-bucket"},
		{"own unlimited", &policy.Caller{Values: own("unlimited")}, "unlimited"},
		{"own of another limit", &policy.Caller{Values: map[string]string{"tried": "1/min"}}, "100/hour fixed-window"},
		{"own that cannot be read", &policy.Caller{Plan: "pro", Values: own("7/month")}, "1000/hour fixed-window"},
	} {
		got := "unlimited"
		if v := hourly.ValueFor(c.caller); v != nil {
			got = v.String()
			if v.ID != "hourly" {
				t.Errorf("%s: the value has the id %q, so it would not share the counts", c.name, v.ID)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if a, b := hourly.ValueFor(&policy.Caller{Values: own("7/min")}), hourly.ValueFor(&policy.Caller{Values: own("7/min")}); a != b {
		t.Error("a value is made anew at each call")
	}
	if hourly.Check("7/month") == nil || hourly.Check("7/min") != nil {
		t.Error("Check takes what cannot be a value, or refuses what can")
	}
}

// A caller that was looked up is counted by its user and by the name of its key, never by the key.
func TestCallerKeys(t *testing.T) {
	p := parse(t, callersPolicy)
	c := get("/u", "header X-Api-Key=secret")
	c.caller = &policy.Caller{User: "alice", Key: "k1", Values: map[string]string{"hourly": "9/hour"}}
	claims, refusal := p.Match(c).Claims(c, nil)
	if refusal != policy.NotRefused || len(claims) != 1 || claims[0].Key != "user:alice" || claims[0].Limit.Units != 9 {
		t.Errorf("/u: %v, %+v", refusal, claims)
	}
	c.path = "/k"
	route := p.Match(c)
	claims, _ = route.Claims(c, nil)
	if parts := stint.KeyParts(claims[0].Key); len(parts) != 2 || parts[0] != "api-key:k1" {
		t.Errorf("/k is counted by %q", parts)
	}
	for path, want := range map[string]bool{"/u": true, "/k": true, "/t": false, "/r": true} {
		c.path = path
		if got := p.Match(c).Identifies(); got != want {
			t.Errorf("%s identifies: %v", path, got)
		}
	}
}

// A candidate is a claim of its own that refuses nobody.
func TestCandidate(t *testing.T) {
	p := parse(t, callersPolicy)
	c := get("/t")
	claims, _ := p.Match(c).Claims(c, nil)
	if len(claims) != 2 || claims[0].Shadow || !claims[1].Shadow || claims[1].Limit.Units != 50 {
		t.Fatalf("got %+v", claims)
	}
	if claims[1].Limit.Strategy.Name() != "token-bucket" {
		t.Errorf("the candidate is a %s", claims[1].Limit.Strategy.Name())
	}
	if id, ok := policy.CandidateOf(claims[1].Limit.ID); id != "tried" || !ok {
		t.Errorf("the candidate of %q, %v", id, ok)
	}
	if _, ok := policy.CandidateOf(claims[0].Limit.ID); ok {
		t.Error("the limit in force is taken for a candidate")
	}
}

// A share of the keys is enforced, always the same ones.
func TestEnforceShare(t *testing.T) {
	p := parse(t, callersPolicy)
	enforced := 0
	const keys = 20_000
	for i := range keys {
		c := get("/k")
		c.caller = &policy.Caller{User: "u", Key: fmt.Sprint("key", i)}
		first, _ := p.Match(c).Claims(c, nil)
		again, _ := p.Match(c).Claims(c, nil)
		if first[0].Shadow != again[0].Shadow {
			t.Fatalf("key %d changes sides", i)
		}
		if !first[0].Shadow {
			enforced++
		}
	}
	if share := float64(enforced) / keys; share < 0.23 || share > 0.27 {
		t.Errorf("%.1f %% of the keys are enforced, not 25", 100*share)
	}
}

func TestEnforceMistakes(t *testing.T) {
	for _, enforce := range []string{`"25"`, `"101%"`, `"-1%"`, `"2.5%"`, `"%"`, `[1]`} {
		text := `{"limits": {"a": "1/s"}, "routes": [{"key": "address", "limits": ["a"], "enforce": ` + enforce + `}]}`
		if _, err := policy.Parse("test.json", []byte(text)); err == nil {
			t.Errorf("enforce: %s is taken", enforce)
		}
	}
	text := `{"limits": {"a": "1/s"}, "routes": [{"key": "address", "limits": ["a"], "enforce": "25%", "mode": "shadow"}]}`
	if _, err := policy.Parse("test.json", []byte(text)); err == nil {
		t.Error("enforce beside mode: shadow is taken")
	}
}
