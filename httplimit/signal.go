package httplimit

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signal is what a response says about the requests after it.
type signal struct {
	wait    time.Duration // send nothing for so long; 0 if it does not say
	counted bool          // left and window are said
	left    int64         // send no more than so many …
	window  time.Duration // … for so long
}

// readSignal reads what a response says. Retry-After wins over all others, and what is malformed is ignored. A cached response
// speaks of another time, and is ignored, too.
func readSignal(response *http.Response, now time.Time) signal {
	h := response.Header
	if age, ok := leadingInteger(h.Get("Age")); ok && age > 0 {
		return signal{}
	}
	// Dates are read by the server's own clock.
	theirs := now
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		theirs = date
	}
	if response.StatusCode >= 300 {
		if wait, ok := parseRetryAfter(h.Get("Retry-After"), theirs); ok {
			return signal{wait: wait}
		}
	}
	for _, read := range []func(http.Header, time.Time) (signal, bool){readList, readDictionary, readTrios} {
		if s, ok := read(h, theirs); ok {
			return s
		}
	}
	return signal{}
}

// readList reads the RateLimit field of draft 8 and later: a list of policies. A later draft calls r and t a and w.
func readList(h http.Header, _ time.Time) (signal, bool) {
	items, ok := parseList(strings.Join(h["Ratelimit"], ", "))
	if !ok || len(items) == 0 {
		return signal{}, false
	}
	policies, _ := parseList(strings.Join(h["Ratelimit-Policy"], ", "))
	var strictest signal
	for i := range items {
		item := &items[i]
		if item.kind != stringItem && item.kind != tokenItem {
			return signal{}, false
		}
		left, ok := either(item, "r", "a")
		if !ok || left < 0 {
			return signal{}, false
		}
		window, ok := either(item, "t", "w")
		if policy := named(policies, item.text); policy != nil {
			if unit := policy.parameter("qu"); unit.kind != 0 && unit.text != "requests" && unit.text != "request" {
				continue // bytes, or slots
			}
			if !ok {
				window, ok = either(policy, "w", "w")
			}
		}
		if ok && window > 0 {
			strictest = strictest.and(signal{counted: true, left: left, window: seconds(window)})
		}
	}
	return strictest, strictest != signal{}
}

// and is the stricter of what two limits say: no requests for the longer time, else the fewer requests.
func (s signal) and(other signal) signal {
	switch {
	case other.left == 0:
		return signal{wait: max(s.wait, other.window)}
	case s.wait > 0 || s.counted && s.left < other.left:
		return s
	}
	return other
}

// either is the integer that a parameter says under one of two names.
func either(m *member, name, later string) (int64, bool) {
	value := m.parameter(name)
	if value.kind == 0 {
		value = m.parameter(later)
	}
	return value.integer, value.kind == integerItem
}

func named(members []member, name string) *member {
	for i := range members {
		if members[i].text == name {
			return &members[i]
		}
	}
	return nil
}

// readDictionary reads the RateLimit field of draft 7: limit=100, remaining=50, reset=5.
func readDictionary(h http.Header, _ time.Time) (signal, bool) {
	members, ok := parseDictionary(strings.Join(h["Ratelimit"], ", "))
	left, reset := int64(-1), int64(-1)
	for i := range members {
		if m := &members[i]; m.kind == integerItem {
			switch m.name {
			case "remaining":
				left = m.integer
			case "reset":
				reset = m.integer
			}
		}
	}
	if !ok || left < 0 || reset <= 0 {
		return signal{}, false
	}
	return signal{}.and(signal{counted: true, left: left, window: seconds(reset)}), true
}

// readTrios reads RateLimit-Remaining and X-RateLimit-Remaining with their resets. A reset is a wait in seconds, or a Unix time
// in seconds or milliseconds: a wait of three years is none.
func readTrios(h http.Header, now time.Time) (signal, bool) {
	for _, prefix := range []string{"Ratelimit-", "X-Ratelimit-"} {
		left, ok := wholeNumber(h.Get(prefix + "Remaining"))
		reset, ok2 := wholeNumber(h.Get(prefix + "Reset"))
		if !ok || !ok2 {
			continue
		}
		window := seconds(reset)
		if reset >= 1e11 {
			window = time.UnixMilli(reset).Sub(now)
		} else if reset >= 1e8 {
			window = time.Unix(reset, 0).Sub(now)
		}
		if window > 0 {
			return signal{}.and(signal{counted: true, left: left, window: window}), true
		}
	}
	return signal{}, false
}

// wholeNumber reads a value that is a whole number and nothing else.
func wholeNumber(text string) (int64, bool) {
	n, err := strconv.ParseInt(strings.Trim(text, " \t"), 10, 64)
	return n, err == nil && n >= 0
}

// seconds is so many seconds, or the longest wait there is.
func seconds(n int64) time.Duration {
	return time.Duration(min(n, maxWaitSeconds)) * time.Second
}
