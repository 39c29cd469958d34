package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	text, _, code := ended(t, "config", "default")
	if code != 0 {
		t.Fatalf("default: exit code %d", code)
	}
	file := write(t, "stint.yaml", text)
	if stdout, stderr, code := ended(t, "config", "check", file); code != 0 || !strings.Contains(stdout, "per-key 10/s: 10 at once, at most 10 in any second") {
		t.Errorf("check: exit code %d: %s%s", code, stdout, stderr)
	}
	shop := write(t, "shop.yaml", `
limits:
  hourly: 100/hour
  bucket: 100/hour burst 100
plans:
  pro: {hourly: 1000/hour}
clients: {trusted-proxies: [10.0.0.0/8]}
routes:
  - {match: {path: /free}, mode: off, respond: {body: ok}}
  - {match: {path: "/api/**", method: POST}, key: [address, header:X-User], limits: [hourly, bucket], cost: 5, upstream: "http://127.0.0.1:5000"}
`)
	for _, c := range []struct {
		file string
		args []string
		want []string
	}{
		{file, []string{"GET", "/limit", "-H", "X-API-KEY: alice"}, []string{"route GET /limit", "counted: ", "alice", "cost of 1", "answered 200"}},
		{file, []string{"get", "/limit"}, []string{"refused at once: no API key"}},
		{file, []string{"POST", "/limit"}, []string{"the method differs", "no route fits"}},
		{shop, []string{"POST", "http://shop.test/api/x", "-H", "X-User: bob", "-H", "X-Forwarded-For: 1.1.1.1, 2.2.2.2", "--from", "10.1.1.1"},
			[]string{"shop.test/api/x", "the path differs", "counted: address:2.2.2.2, header:X-User:bob", "cost of 5", "100/hour: 100 at once, at most 100 in any hour",
				"burst 100: 100 at once, at most 200 in any hour", "http://127.0.0.1:5000"}},
		{shop, []string{"POST", "/api/x", "-H", "X-User: bob", "-H", "X-Forwarded-For: 1.1.1.1", "--from", "192.0.2.1"}, []string{"counted: address:192.0.2.1, "}},
		{shop, []string{"POST", "/api/x", "-H", "X-User: bob", "--plan", "pro"}, []string{"1000/hour: 1000 at once"}},
		{shop, []string{"POST", "/api/x"}, []string{"refused at once: no key"}},
		{shop, []string{"GET", "/free"}, []string{"not counted: "}},
	} {
		stdout, stderr, code := ended(t, append([]string{"config", "explain", c.file}, c.args...)...)
		if code != 0 {
			t.Errorf("explain %q: exit code %d: %s", c.args, code, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("explain %q does not say %q:\n%s", c.args, want, stdout)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	if stdout, _, code := ended(t, "version"); code != 0 || !strings.HasPrefix(stdout, "stint v0.0.0-test, ") || !strings.Contains(stdout, "go1.") {
		t.Errorf("exit code %d: %s", code, stdout)
	}
	info := &debug.BuildInfo{GoVersion: "go1.26", Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-11-22T00:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	const want = "stint (development), commit 0123456789ab with changes of 2026-11-22T00:00:00Z, go1.26"
	if got := versionText("", info); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
