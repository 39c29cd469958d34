package api

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

// result is what came of a call.
type result struct {
	call      *call
	decision  stint.Decision   // the strictest
	decisions []stint.Decision // of each claim; nil if it is one
	receipt   string           // if it was asked for and something was granted
	replayed  bool
	err       error
}

// buffers keep the memory of answers.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// maxKept bounds the buffers that are kept.
const maxKept = 64 << 10

// send answers with what is appended.
func send(w http.ResponseWriter, appended func(dst []byte) []byte) {
	buffer := buffers.Get().(*[]byte)
	body := append(appended((*buffer)[:0]), '\n')
	header := w.Header()
	header["Content-Type"], header["Cache-Control"] = jsonType, noStore
	if len(body) >= countedByServer {
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	_, _ = w.Write(body) // a client that has left is not told
	if cap(body) <= maxKept {
		*buffer = body
		buffers.Put(buffer)
	}
}

// countedByServer is what net/http holds back, to say by itself how long an answer is, at less cost.
const countedByServer = 2048

var jsonType, noStore = []string{"application/json"}, []string{"no-store"}

// append appends the result as an object.
func (r *result) append(dst []byte, limits *limitTexts) []byte {
	if r.err != nil {
		dst = append(dst, `{"allowed":false,"reason":"error","detail":`...)
		return append(appendText(dst, errorText(r.err)), '}')
	}
	d := &r.decision
	dst = append(dst, `{"allowed":`...)
	dst = strconv.AppendBool(dst, d.Allowed)
	dst = append(dst, `,"reason":`...)
	dst = appendText(dst, d.Reason.String())
	if r.call.route != nil {
		dst = append(dst, `,"route":`...)
		dst = appendText(dst, r.call.route.Name)
	}
	dst = appendNumbers(dst, d, limits)
	if len(r.decisions) > 1 {
		dst = append(dst, `,"claims":[`...)
		for i := range r.decisions {
			if i > 0 {
				dst = append(dst, ',')
			}
			c := &r.decisions[i]
			dst = append(dst, `{"allowed":`...)
			dst = strconv.AppendBool(dst, c.Allowed)
			dst = append(dst, `,"reason":`...)
			dst = appendText(dst, c.Reason.String())
			dst = append(appendNumbers(dst, c, limits), '}')
		}
		dst = append(dst, ']')
	}
	if r.receipt != "" {
		dst = append(dst, `,"receipt":`...)
		dst = appendText(dst, r.receipt)
	}
	if r.replayed {
		dst = append(dst, `,"replayed":true`...)
	}
	return append(dst, '}')
}

// appendNumbers appends what a decision says of its limit.
func appendNumbers(dst []byte, d *stint.Decision, limits *limitTexts) []byte {
	if d.By != nil && d.Limit != math.MaxInt64 {
		dst = append(dst, limits.of(d.By)...)
		dst = append(dst, `,"capacity":`...)
		dst = strconv.AppendInt(dst, d.Limit, 10)
		dst = append(dst, `,"remaining":`...)
		dst = strconv.AppendInt(dst, d.Remaining, 10)
		dst = append(dst, `,"reset_after":`...)
		dst = appendSeconds(dst, d.ResetAfter)
	}
	dst = append(dst, `,"retry_after":`...)
	dst = appendSeconds(dst, d.RetryAfter)
	if d.Reason == stint.Degraded {
		dst = append(dst, `,"degraded":true`...)
	}
	return dst
}

// appendSeconds appends a time in seconds with up to six decimals, rounded up; null if nobody knows it, or it is never.
func appendSeconds(dst []byte, d time.Duration) []byte {
	if d == stint.Never || d == stint.Unknown {
		return append(dst, "null"...)
	}
	micros := int64(d / time.Microsecond)
	if d%time.Microsecond > 0 {
		micros++
	}
	dst = strconv.AppendInt(dst, micros/1e6, 10)
	if rest := micros % 1e6; rest > 0 {
		dst = append(dst, '.')
		var room [8]byte
		digits := strconv.AppendInt(room[:0], 1e6+rest, 10)[1:]
		for digits[len(digits)-1] == '0' {
			digits = digits[:len(digits)-1]
		}
		dst = append(dst, digits...)
	}
	return dst
}

// appendText appends a text as JSON has it.
func appendText(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(text) {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		if c < 0x20 {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(append(dst, text[from:]...), '"')
}

// counted tells of the call and of its decisions.
func (a *api) counted(r *result) {
	if r.err != nil && !errors.Is(r.err, ErrStoreLost) {
		return
	}
	if r.err == nil { // else it was not refused
		c := r.call.counted
		c.Admitted = r.decision.Allowed
		if len(r.call.claims) > 0 && c.Admitted {
			c.Units = r.call.claims[0].Op.Min
		}
		a.Counted(c)
	}
	if len(r.decisions) == 0 {
		a.Decided(&r.decision)
	}
	for i := range r.decisions {
		a.Decided(&r.decisions[i])
	}
}

// told are the decisions that callers are told of.
func told(decisions []stint.Decision) []stint.Decision {
	kept := decisions[:0]
	for _, d := range decisions {
		if d.By != nil {
			if _, candidate := policy.CandidateOf(d.By.ID); candidate {
				continue
			}
		}
		kept = append(kept, d)
	}
	return kept
}
