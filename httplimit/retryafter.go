package httplimit

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// asksLonger says whether the header has a Retry-After already that is later than in so many seconds.
func asksLonger(h http.Header, seconds int64) bool {
	there := h["Retry-After"]
	if len(there) == 0 {
		return false
	}
	wait, ok := parseRetryAfter(there[0], time.Now())
	return ok && wait > time.Duration(min(seconds, maxWaitSeconds))*time.Second
}

// maxWaitSeconds is the longest wait that a Duration holds, in whole seconds.
const maxWaitSeconds = math.MaxInt64 / int64(time.Second)

// parseRetryAfter reads a Retry-After: seconds, or a date seen from now. A date that has passed is a wait of 0, and a number
// beyond any Duration is the longest one.
func parseRetryAfter(text string, now time.Time) (time.Duration, bool) {
	text = strings.Trim(text, " \t")
	if text == "" || len(text) > 64 {
		return 0, false
	}
	if strings.Trim(text, "0123456789") == "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n > maxWaitSeconds {
			n = maxWaitSeconds
		}
		return time.Duration(n) * time.Second, true
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(0, date.Sub(now)), true
}
