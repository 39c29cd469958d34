package httplimit

import "strings"

// hopList reads the entries of X-Forwarded-For or Forwarded from the right, over all lines of the header. It reads no further
// than it is asked to, so what a client wrote at the left can neither cost time nor spoil what the proxies wrote.
type hopList struct {
	lines     []string // those not read yet; the last one is being read
	rest      string   // what is left of it
	open      bool     // rest is valid
	forwarded bool
}

// next is the next entry to the left; false if there are no more.
func (h *hopList) next() (string, bool) {
	for !h.open {
		if len(h.lines) == 0 {
			return "", false
		}
		h.rest, h.open = h.lines[len(h.lines)-1], true
		h.lines = h.lines[:len(h.lines)-1]
		if strings.Trim(h.rest, " \t") == "" {
			h.open = false
		}
	}
	comma := strings.LastIndexByte(h.rest, ',')
	if h.forwarded {
		comma = lastOutsideQuotes(h.rest, ',')
	}
	entry := h.rest[comma+1:]
	if comma < 0 {
		h.open = false
	} else {
		h.rest = h.rest[:comma]
	}
	if h.forwarded {
		return forwardedFor(entry), true
	}
	return entry, true
}

// lastOutsideQuotes is the last place of c that is not inside a quoted string, read from the right; -1 if there is none.
func lastOutsideQuotes(text string, c byte) int {
	quoted := false
	for i := len(text) - 1; i >= 0; i-- {
		switch {
		case text[i] == '"' && !(quoted && i > 0 && text[i-1] == '\\'):
			quoted = !quoted
		case text[i] == c && !quoted:
			return i
		}
	}
	return -1
}

// forwardedFor is the node of an element's "for" parameter; empty if it has none.
func forwardedFor(element string) string {
	for more := true; more; {
		semicolon := lastOutsideQuotes(element, ';')
		name, value, _ := strings.Cut(element[semicolon+1:], "=")
		if strings.EqualFold(strings.Trim(name, " \t"), "for") {
			value = strings.Trim(value, " \t")
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			return value
		}
		if more = semicolon >= 0; more {
			element = element[:semicolon]
		}
	}
	return ""
}
