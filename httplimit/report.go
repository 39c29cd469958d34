package httplimit

import (
	"math/bits"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/stint-go/stint"
)

// Report is what a dialect tells a client: the decisions on a request, one for each limit. It is only lent to the dialect.
type Report struct {
	// Decisions has at least one, and each has its limit.
	Decisions []stint.Decision

	// Key is the key that was counted; empty if the limits count by different keys.
	Key string

	renderer *Renderer

	// The memory of the first header values set, and of their text: a part of the request's own, so that they cost no allocation.
	values       [3]string
	text         [32]byte
	used, filled uint8
}

// Strictest is the decision that leaves the client the least.
func (r *Report) Strictest() *stint.Decision {
	best := &r.Decisions[0]
	for i := range r.Decisions[1:] {
		if d := &r.Decisions[i+1]; d.Stricter(best) {
			best = d
		}
	}
	return best
}

// Join adds a value to a header that is a list, behind those that are there.
func (r *Report) Join(h http.Header, name, value string) {
	there := h[name]
	if len(there) == 0 {
		r.set(h, name, value)
		return
	}
	if !slices.Contains(there, value) {
		h[name] = append(slices.Clone(there), value)
	}
}

// set puts the value into the header without an allocation for the first few.
func (r *Report) set(h http.Header, name, value string) {
	i := int(r.used)
	if i == len(r.values) {
		h[name] = []string{value}
		return
	}
	r.values[i] = value
	h[name] = r.values[i : i+1 : i+1]
	r.used++
}

// kept is the text as a string, in the report's memory while there is room. What was written there once stays as it is.
func (r *Report) kept(text []byte) string {
	room := r.text[r.filled:]
	if len(text) == 0 || len(text) > len(room) {
		return string(text)
	}
	n := copy(room, text)
	r.filled += uint8(n)
	return unsafe.String(&room[0], n)
}

// number is kept for a number.
func (r *Report) number(n int64) string {
	var digits [20]byte
	return r.kept(strconv.AppendInt(digits[:0], n, 10))
}

// label is what headers say of a limit whatever the decision.
type label struct {
	limit  *stint.Limit
	name   string // the policy's
	quoted string // the same as a structured string
	policy string // the whole item of RateLimit-Policy
	window int64  // seconds in which the capacity comes back; 0 if the limit has no such time
}

// label is the limit's label, made at its first use.
func (r *Report) label(l *stint.Limit) *label { return r.renderer.labels.of(l) }

// labels keeps the labels of the limits in force. Limits may change live, so it finds them by identity, and starts anew when it
// has seen too many. Safe for concurrent use; the zero value is empty.
type labels struct {
	latest atomic.Pointer[label] // the one made last, which is the only one of most handlers
	known  sync.Map              // *stint.Limit → *label
	count  atomic.Int64
}

// maxLabels bounds the labels kept.
const maxLabels = 1 << 16

func (s *labels) of(l *stint.Limit) *label {
	if made := s.latest.Load(); made != nil && made.limit == l {
		return made
	}
	if found, ok := s.known.Load(l); ok {
		return found.(*label)
	}
	if s.count.Add(1) > maxLabels {
		s.known.Clear()
		s.count.Store(1)
	}
	made := newLabel(l)
	s.known.Store(l, made)
	s.latest.Store(made)
	return made
}

func newLabel(l *stint.Limit) *label {
	name := PolicyName(l)
	made := &label{limit: l, name: name, quoted: quotedString(name)}
	buf := append([]byte(made.quoted), ";q="...)
	buf = appendInteger(buf, l.Capacity())
	if l.Strategy != nil && l.Strategy.Name() == "concurrency" {
		buf = append(buf, `;qu="concurrent-requests"`...)
	} else if made.window = window(l); made.window > 0 {
		buf = append(buf, ";w="...)
		buf = appendInteger(buf, made.window)
	}
	made.policy = string(buf)
	return made
}

// window is how many seconds it takes until a limit's whole capacity has come back, rounded up; 0 if it never does.
func window(l *stint.Limit) int64 {
	if l.Units <= 0 || l.Capacity() == l.Units {
		return min(stint.Seconds(l.Per), maxInteger)
	}
	hi, lo := bits.Mul64(uint64(l.Capacity()), uint64(l.Per))
	if hi >= uint64(l.Units) {
		return maxInteger
	}
	nanos, rest := bits.Div64(hi, lo, uint64(l.Units))
	seconds := nanos / 1e9
	if nanos%1e9 > 0 || rest > 0 {
		seconds++
	}
	return int64(min(seconds, maxInteger))
}

// share is limit·t/window, rounded down.
func share(limit, t, window int64) int64 {
	hi, lo := bits.Mul64(uint64(limit), uint64(t))
	quotient, _ := bits.Div64(hi, lo, uint64(window)) // t < window, so it fits
	return int64(quotient)
}

// PolicyName is the name by which headers and bodies speak of a limit: its ID, with each byte that is not printable ASCII
// written as %XX.
func PolicyName(l *stint.Limit) string {
	const hex = "0123456789ABCDEF"
	safe := make([]byte, 0, len(l.ID))
	for _, c := range []byte(l.ID) {
		if c >= 0x20 && c <= 0x7e {
			safe = append(safe, c)
		} else {
			safe = append(safe, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(safe)
}
