package httplimit

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// A Dialect is one way of telling clients in headers what is left to them. Several can be sent side by side, except [Draft6]
// and IETF under one name. Safe for concurrent use.
type Dialect interface {
	// String is the dialect's name, as [ParseDialect] reads it.
	String() string

	// Fields are the names of the headers it writes, canonical.
	Fields() []string

	// Write puts the report into the header. What is there already comes from a handler or server further in, and may become
	// stricter, never looser: [Report.Join] and [Report.Strictest] do that.
	Write(h http.Header, r *Report)
}

// ParseDialect reads the name of a dialect: ietf, draft-6, x (reset as the Unix time), x-seconds (reset as a wait) or none.
func ParseDialect(name string) (Dialect, error) {
	for _, d := range []Dialect{IETF{}, Draft6{}, XRateLimit{}, XRateLimit{Seconds: true}, NoHeaders{}} {
		if d.String() == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("httplimit: unknown header dialect %q: use ietf, draft-6, x, x-seconds or none", name)
}

// IETF is draft-ietf-httpapi-ratelimit-headers-11: RateLimit-Policy says what each limit admits, RateLimit what is left of it
// and for how long that must last. A later draft will be a dialect of its own.
//
//	RateLimit-Policy: "per-user";q=100;w=3600
//	RateLimit: "per-user";r=57;t=1548
//
// A policy's name is its limit's ID, with whatever the format cannot hold written as %XX. q is the limit's capacity and w the
// time in which it comes back: for a token bucket of 10/s with burst 20 it is q=20;w=2. t is the time until the limit is as
// good as new; on a refusal it is the wait after which the call would pass, as in Retry-After.
type IETF struct {
	// Partition makes the pk parameter out of the key that was counted. It is sent to the client, so it must not reveal what
	// the client does not know anyway. Default: none.
	Partition func(key string) []byte

	// Paced caps r at what the limit's rate brings within t, so that a client who spreads r over t never speeds up at the end of
	// a window. It says less than is true: a burst looks smaller. Default: r is what would be admitted.
	Paced bool
}

// String is "ietf".
func (IETF) String() string { return "ietf" }

// Fields are RateLimit and RateLimit-Policy.
func (IETF) Fields() []string { return []string{"Ratelimit", "Ratelimit-Policy"} }

// Write joins the limits to the lists that are there.
func (f IETF) Write(h http.Header, r *Report) {
	var small [256]byte
	buf := small[:0]
	var partition []byte
	if f.Partition != nil {
		partition = f.Partition(r.Key)
	}
	for i := range r.Decisions {
		d := &r.Decisions[i]
		if i > 0 {
			buf = append(buf, ", "...)
		}
		l := r.label(d.By)
		buf = append(buf, l.quoted...)
		buf = append(buf, ";r="...)
		buf = appendInteger(buf, f.left(d, l))
		if t := effectiveWindow(d); t > 0 {
			buf = append(buf, ";t="...)
			buf = appendInteger(buf, t)
		}
		if partition != nil {
			buf = append(buf, ";pk="...)
			buf = appendBytes(buf, partition)
		}
	}
	r.Join(h, "Ratelimit", r.kept(buf))
	r.Join(h, "Ratelimit-Policy", f.policies(r, partition))
}

func (f IETF) policies(r *Report, partition []byte) string {
	if len(r.Decisions) == 1 && partition == nil {
		return r.label(r.Decisions[0].By).policy
	}
	var small [256]byte
	buf := small[:0]
	for i := range r.Decisions {
		if i > 0 {
			buf = append(buf, ", "...)
		}
		buf = append(buf, r.label(r.Decisions[i].By).policy...)
		if partition != nil {
			buf = append(buf, ";pk="...)
			buf = appendBytes(buf, partition)
		}
	}
	return string(buf)
}

func (f IETF) left(d *stint.Decision, l *label) int64 {
	if t := effectiveWindow(d); f.Paced && l.window > 0 && t < l.window {
		return min(d.Remaining, share(d.Limit, t, l.window))
	}
	return d.Remaining
}

// effectiveWindow is the time in seconds for which what is left must do; 0 if nothing is missing.
func effectiveWindow(d *stint.Decision) int64 {
	if n, ok := d.RetrySeconds(); ok {
		return n // less than the reset: Retry-After may not end within the window that this speaks of
	}
	return stint.Seconds(d.ResetAfter)
}

// XRateLimit is the widespread trio X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset, about the strictest limit.
// Reset is the Unix time at which the limit is as good as new, in seconds, as GitHub sends it.
type XRateLimit struct {
	// Seconds sends the wait until then in place of the Unix time.
	Seconds bool
}

// String is "x", or "x-seconds".
func (x XRateLimit) String() string {
	if x.Seconds {
		return "x-seconds"
	}
	return "x"
}

// Fields are the three headers.
func (XRateLimit) Fields() []string {
	return []string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}
}

// Write keeps what is there if it is stricter.
func (x XRateLimit) Write(h http.Header, r *Report) {
	d := r.Strictest()
	t := trio{d.Limit, d.Remaining, stint.Seconds(d.ResetAfter)}
	if !x.Seconds {
		t.reset = unixAfter(time.Now(), d.ResetAfter)
	}
	t.write(h, r, "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset")
}

// unixAfter is the Unix time d after now in seconds, rounded up.
func unixAfter(now time.Time, d time.Duration) int64 {
	seconds, nanos := now.Unix()+int64(d/time.Second), int64(now.Nanosecond())+int64(d%time.Second)
	return seconds + (nanos+int64(time.Second)-1)/int64(time.Second)
}

// Draft6 is the trio of the IETF drafts 3 to 6, RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset (a wait in seconds),
// about the strictest limit.
type Draft6 struct{}

// String is "draft-6".
func (Draft6) String() string { return "draft-6" }

// Fields are the three headers.
func (Draft6) Fields() []string {
	return []string{"Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset"}
}

// Write keeps what is there if it is stricter.
func (Draft6) Write(h http.Header, r *Report) {
	d := r.Strictest()
	t := trio{d.Limit, d.Remaining, stint.Seconds(d.ResetAfter)}
	t.write(h, r, "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset")
}

// NoHeaders sends none but Retry-After.
type NoHeaders struct{}

// String is "none".
func (NoHeaders) String() string { return "none" }

// Fields are none.
func (NoHeaders) Fields() []string { return nil }

// Write does nothing.
func (NoHeaders) Write(http.Header, *Report) {}

// trio is what the single-valued dialects say.
type trio struct{ limit, remaining, reset int64 }

// write puts the trio into the header unless what is there is as strict: fewer units left, or as many for longer.
func (t trio) write(h http.Header, r *Report, limit, remaining, reset string) {
	if theirs, ok := readTrio(h, limit, remaining, reset); ok && !t.stricter(theirs) {
		return
	}
	r.set(h, limit, r.number(t.limit))
	r.set(h, remaining, r.number(t.remaining))
	r.set(h, reset, r.number(t.reset))
}

func (t trio) stricter(other trio) bool {
	if t.remaining != other.remaining {
		return t.remaining < other.remaining
	}
	// An instant and a wait cannot be compared; the one that looks later is the instant.
	if t.reset != other.reset {
		return t.reset > other.reset
	}
	return t.limit < other.limit
}

// readTrio reads the trio of a header; false if there is none that makes sense. Several lines hold several trios, of which it
// brings the strictest into the first place.
func readTrio(h http.Header, limit, remaining, reset string) (trio, bool) {
	left := h[remaining]
	if len(left) == 0 {
		return trio{}, false
	}
	best, at, found := trio{}, 0, false
	for i := range left {
		n, ok := leadingInteger(left[i])
		if !ok {
			continue
		}
		t := trio{remaining: n}
		t.limit, _ = leadingInteger(at0(h[limit], i))
		t.reset, _ = leadingInteger(at0(h[reset], i))
		if !found || t.stricter(best) {
			best, at, found = t, i, true
		}
	}
	if found && len(left) > 1 {
		for _, name := range []string{limit, remaining, reset} {
			if value := at0(h[name], at); value != "" {
				h[name] = []string{value}
			}
		}
	}
	return best, found
}

// at0 is the i-th value, or empty.
func at0(values []string, i int) string {
	if i >= len(values) {
		return ""
	}
	return values[i]
}

// leadingInteger reads the number that a value begins with: Envoy sends "10, 10;w=1". Numbers too long for the type are the
// largest one.
func leadingInteger(text string) (int64, bool) {
	text = strings.TrimLeft(text, " \t")
	end := 0
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	if end == 0 || end < len(text) && !strings.ContainsRune(" \t,;.", rune(text[end])) {
		return 0, false
	}
	n, _ := strconv.ParseInt(text[:end], 10, 64)
	return n, true
}
