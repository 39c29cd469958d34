package httplimit

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzAccept checks that every Accept header leads to one of the bodies, and that no quality is out of its range.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", "text/plain;q=0.5, application/json", "a/b;q=1.5", ";;,/,=", "text/*;Q=.1", "*/*;q=0.0001"} {
		f.Add(seed, seed)
	}
	bodies := []Body{Text{}, JSON{}, Problem{}}
	f.Fuzz(func(t *testing.T, first, second string) {
		lines := []string{first, second}
		if chosen := chooseBody(bodies, lines); chosen == nil {
			t.Errorf("%q: no body", lines)
		}
		for _, r := range parseAccept(lines) {
			if r.quality < 0 || r.quality > 1000 || r.kind == "" || r.subkind == "" {
				t.Errorf("%q: %+v", lines, r)
			}
		}
	})
}

// FuzzSignal checks that nothing a server says leads to a wait that is no wait.
func FuzzSignal(f *testing.F) {
	f.Add(429, "7", `"a";r=0;t=9`, `"a";q=5;w=6`, "0", "946684813", "1")
	f.Add(200, "Sat, 01 Jan 2000 00:00:20 GMT", "limit=1, remaining=0, reset=5", "", "1", "9999999999999", "0")
	f.Add(503, "-1", `a;a=-1;w=-1`, "(", "x", "-1", "")
	f.Fuzz(func(t *testing.T, status int, retry, list, policies, left, reset, age string) {
		now := time.Unix(946684800, 0)
		said := readSignal(&http.Response{StatusCode: status, Header: http.Header{
			"Retry-After": {retry}, "Ratelimit": {list}, "Ratelimit-Policy": {policies}, "Age": {age}, "Date": {retry},
			"X-Ratelimit-Remaining": {left}, "X-Ratelimit-Reset": {reset},
		}}, now)
		if said.wait < 0 || said.left < 0 || said.counted && said.window <= 0 || !said.counted && said.window != 0 {
			t.Errorf("%+v", said)
		}
		var h hold
		h.inFlight++
		h.answered(&http.Response{StatusCode: status, Header: http.Header{"Retry-After": {retry}}}, now, time.Hour)
		if wait, _ := h.wait(now, false); wait < 0 || wait > time.Hour {
			t.Errorf("held back for %v", wait)
		}
	})
}

// FuzzPath checks that cleaning a path leaves no detour and is done in one go.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"", "*", "/", "/a/../b", "//a", "a", "/..", "/a/./", "/a/..", "/\x00/../%2e%2e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p string) {
		clean := cleanPath(p)
		if again := cleanPath(clean); again != clean {
			t.Errorf("%q: %q, and then %q", p, clean, again)
		}
		if clean == "*" {
			return
		}
		if !strings.HasPrefix(clean, "/") || strings.Contains(clean, "//") || strings.Contains(clean+"/", "/../") ||
			strings.Contains(clean+"/", "/./") {
			t.Errorf("%q: %q", p, clean)
		}
	})
}
