package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stint-go/stint/policy"
)

func TestDiff(t *testing.T) {
	old := parse(t, `{
		"store": "redis://:secret@h:1", "instances": 2,
		"limits": {"a": "10/s", "b": {"rate": "5/min", "on-store-loss": "open"}, "gone": "1/h"},
		"plans": {"pro": {"a": "20/s"}},
		"routes": [
			{"name": "one", "key": "address", "match": {"path": "/1"}, "limits": ["a"]},
			{"name": "two", "key": "address", "match": {"path": "/2"}, "limits": ["b", "gone"], "respond": {"body": "`+strings.Repeat("x", 80)+`a"}},
			{"name": "three", "match": {"path": "/3"}, "mode": "off"}
		]}`)
	p := parse(t, `{
		"store": "redis://:other@h:1", "instances": 2, "accounts": "postgres://u:secret@h/d", "accounts-grace": "90s",
		"headers": ["ietf", "x"], "clients": {"trusted-proxies": ["10.0.0.0/8"]},
		"limits": {"a": "10 per s", "b": {"rate": "6/min", "on-store-loss": "open", "candidate": "3/min"}, "new": "7/h"},
		"plans": {"pro": {"a": "unlimited"}},
		"routes": [
			{"name": "two", "key": "user", "match": {"path": "/2"}, "limits": ["b", "new"], "enforce": "25%", "respond": {"body": "`+strings.Repeat("x", 80)+`b"}},
			{"name": "one", "key": "address", "match": {"path": "/1"}, "limits": ["a"]},
			{"name": "four", "match": {"path": "/4"}, "upstream": "http://127.0.0.1:1"}
		]}`)
	var lines []string
	for _, c := range policy.Diff(old, p) {
		lines = append(lines, c.String())
	}
	got := strings.Join(lines, "\n")
	xs := strings.Repeat("x", 60)
	want := fmt.Sprintf(`~ store: the same with another password or options, was redis://…@h:1
+ accounts: postgres://…@h/d
+ accounts-grace: 1m30s
~ headers: ietf, x, was ietf
~ clients: trusted-proxies [10.0.0.0/8], ipv6-prefix 64, was ipv6-prefix 64
~ limits.b: 6/min, on-store-loss open, candidate 3/min, was 5/min, on-store-loss open
+ limits.new: 7/hour
- limits.gone: 1/hour
~ plans.pro.a: unlimited, was 20/s
~ routes two: match /2, key user, limits b+new, enforce 25%%, respond 200 "%[1]s… (81 bytes, sum %[3]s)", Content-Type: text/plain; charset=utf-8, was match /2, key address, limits b+gone, respond 200 "%[1]s… (81 bytes, sum %[2]s)", Content-Type: text/plain; charset=utf-8
+ routes four: match /4, upstream http://127.0.0.1:1
- routes three: match /3, mode off
~ routes one: behind it, was before two`, xs, sumIn(got, 1), sumIn(got, 0))
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if same := policy.Diff(p, p); len(same) > 0 {
		t.Errorf("a policy differs from itself: %v", same)
	}
	if strings.Contains(got, "secret") {
		t.Error("a password is shown")
	}
}

// sumIn is the n-th sum over a body that stands in the text.
func sumIn(text string, n int) string {
	parts := strings.Split(text, "sum ")
	if len(parts) < n+2 || parts[1][:8] == parts[2][:8] {
		return "another sum"
	}
	return parts[n+1][:8]
}
