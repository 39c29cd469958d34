package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

func TestKeys(t *testing.T) {
	c := get("/users/7", "header X-Tenant=acme", "header X-Api-Key=k1", "cookie sid=s1", "query q=", "path id=7", "attribute plan=pro")
	c.basic = "ann"
	for _, k := range []struct{ text, of, qualified string }{
		{"address", "192.0.2.7", "address:192.0.2.7"},
		{"header:x-tenant", "acme", "header:X-Tenant:acme"},
		{"cookie:sid", "s1", "cookie:sid:s1"},
		{"path:id", "7", "path:id:7"},
		{"basic-user", "ann", "basic-user:ann"},
		{"plan", "pro", "plan:pro"},
		{"api-key", "k1", "api-key:k1"},
		{"user", "k1", "api-key:k1"}, // nobody knows the user, so the key stands for it
		{"fixed:all", "all", "fixed:all"},
		{"query:q", "", ""}, // an empty value counts nobody
		{"query:absent", "", ""},
		{"route", "", ""}, // known in a route of a policy, or from the door
		{"address+query:q", "", ""},
		{" address + plan ", stint.Key("192.0.2.7", "pro"), stint.Key("address:192.0.2.7", "plan:pro")},
	} {
		key, err := policy.ParseKey(k.text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := key.Of(c); got != k.of || ok != (k.of != "") {
			t.Errorf("%s: %q %v, want %q", k.text, got, ok, k.of)
		}
		if got, ok := key.Qualified(c); got != k.qualified || ok != (k.qualified != "") {
			t.Errorf("%s, qualified: %q %v, want %q", k.text, got, ok, k.qualified)
		}
	}
	c.values["attribute user"] = "k1"
	if got, _ := policy.User().Qualified(c); got != "user:k1" {
		t.Errorf("a user is taken for the API key of that text: %s", got)
	}
	if _, ok := (policy.Key{}).Of(c); ok {
		t.Error("the zero key finds somebody")
	}
}

func TestBadKeys(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  `policy: unknown key ""; allowed is address`,
		"adress":                            `(did you mean "address"?)`,
		"Header:X-A":                        `(did you mean "header:X-A"?)`,
		"header:":                           "the name has 1 to 256 bytes",
		"header:a b":                        "no header can have that name",
		"cookie:a:b":                        "no cookie can have that name",
		"query:a:b":                         "with a colon",
		"path:a/b":                          "a name in a path has letters",
		"address+":                          `unknown key ""`,
		"address:x":                         "allowed is address",
		strings.Repeat("plan+", 8):          "at most 8",
		"query:" + strings.Repeat("q", 999): "1 to 256",
	} {
		_, err := policy.ParseKey(text)
		var wrong *policy.KeyError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, text := range []string{"address", "user+route", "header:X-Tenant + path:id", "fixed:+", "query:a", "plan+\x00"} {
		f.Add(text)
	}
	c := get("/", "header X-Tenant=acme")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := policy.ParseKey(text)
		if err != nil {
			return
		}
		again, err := policy.ParseKey(key.String())
		if err != nil || again.String() != key.String() {
			t.Errorf("%q reads back as %q: %v", text, again, err)
		}
		a, ok := key.Of(c)
		if b, also := again.Of(c); a != b || ok != also {
			t.Errorf("%q: %q and %q", text, a, b)
		}
		if q, also := key.Qualified(c); also != ok || ok && q == "" {
			t.Errorf("%q, qualified: %q %v", text, q, also)
		}
	})
}
