package httplimit

import (
	"net/http"
	"strconv"

	"github.com/stint-go/stint"
)

// Refusal is what a request that may not pass is told: in a status, in Retry-After, and in a body of the kind that the client
// likes best.
type Refusal struct {
	Status     int              // 429, 503 or what the options say for a missing key
	Problem    string           // the type of problem (RFC 9457)
	Title      string           // what the type means
	Detail     string           // what happened here, for people
	RetryAfter int64            // in seconds; 0 if the request is not to be repeated, or nobody knows when
	Decisions  []stint.Decision // one for each limit; empty if none was decided
	Decision   stint.Decision   // the strictest

	told told
}

// told is a number of seconds as the detail says it, and so as a header can.
type told struct {
	seconds int64
	text    string
}

func (t *told) of(seconds int64) string {
	if t.seconds == seconds && t.text != "" {
		return t.text
	}
	return strconv.FormatInt(seconds, 10)
}

// The types of problem of the IETF draft, and the one that says no more than the status.
const (
	problemQuota    = "https://iana.org/assignments/http-problem-types#quota-exceeded"
	problemCapacity = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
	problemAbnormal = "https://iana.org/assignments/http-problem-types#abnormal-usage-detected"
	problemNone     = "about:blank"
)

// NewRefusal is the refusal that decisions lead to; strictest is the one that the call as a whole got.
func NewRefusal(strictest stint.Decision, decisions []stint.Decision) *Refusal {
	return newRefusal(strictest, decisions, 0)
}

// newRefusal is NewRefusal with so many seconds added to the wait.
func newRefusal(strictest stint.Decision, decisions []stint.Decision, jitter int64) *Refusal {
	f := &Refusal{
		Status:    http.StatusTooManyRequests,
		Problem:   problemQuota,
		Title:     "Request cannot be satisfied as assigned quota has been exceeded",
		Decision:  strictest,
		Decisions: decisions,
	}
	if seconds, ok := strictest.RetrySeconds(); ok {
		const before, after = "Rate limit exceeded. Try again in ", " seconds"
		var text [len(before) + 20 + len(after)]byte
		f.RetryAfter = seconds + jitter
		f.Detail = string(append(strconv.AppendInt(append(text[:0], before...), f.RetryAfter, 10), after...))
		f.told = told{f.RetryAfter, f.Detail[len(before) : len(f.Detail)-len(after)]}
	}
	switch {
	case strictest.RetryAfter == stint.Unknown:
		f.Status, f.Problem = http.StatusServiceUnavailable, problemCapacity
		f.Title = "Request cannot be satisfied due to temporary server capacity constraints"
		f.Detail = "The rate limit cannot be checked right now"
		if strictest.Reason == stint.Queued {
			f.Detail = "Too many requests are waiting already"
		}
	case strictest.RetryAfter == stint.Never:
		f.Detail = "Rate limit exceeded. The request is larger than the limit will ever admit"
	case strictest.Reason == stint.Blocked:
		f.Problem = problemAbnormal
		f.Title = "Request not satisfied due to detection of abnormal request pattern"
	}
	return f
}

// Policies are the names of the limits that were exceeded, see [PolicyName].
func (f *Refusal) Policies() []string {
	var names []string
	for i := range f.Decisions {
		if d := &f.Decisions[i]; !d.Allowed && d.By != nil && !unasked(d) {
			names = append(names, PolicyName(d.By))
		}
	}
	return names
}

// lostStore is the refusal of a request on which no decision could be had.
func lostStore() *Refusal {
	return NewRefusal(stint.Decision{Reason: stint.Degraded, RetryAfter: stint.Unknown}, nil)
}

// wrongRequest is the refusal of a request that cannot be counted as it is.
func wrongRequest(status int, reason stint.Reason, detail string) *Refusal {
	return &Refusal{
		Status:   status,
		Problem:  problemNone,
		Title:    http.StatusText(status),
		Detail:   detail,
		Decision: stint.Decision{Reason: reason, RetryAfter: stint.Never},
	}
}
