package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// outcome is what became of a request that was answered.
type outcome uint8

const (
	admitted outcome = iota
	refused
	failed
)

// classify says what an answer's status means, as the package's comment has it.
func classify(status int) outcome {
	switch {
	case status == http.StatusTooManyRequests:
		return refused
	case status >= 500 || status == http.StatusUnauthorized || status == http.StatusForbidden:
		return failed
	}
	return admitted
}

// maxKinds bounds the kinds of error that are told apart. All others are counted as one.
const maxKinds = 64

// record is what has happened so far. Its methods are safe for concurrent use.
type record struct {
	start time.Time

	mu         sync.Mutex
	counts     [3]int64
	statuses   map[int]int64
	errors     map[string]int64
	latencies  *hdrhistogram.Histogram // in microseconds
	admissions []admission
}

// admission is when an admitted request was sent and answered, in nanoseconds of the run. It was admitted in between.
type admission struct{ sent, answered int64 }

// longestLatency is the longest that is told apart; three digits are.
const longestLatency = time.Hour

func newRecord(start time.Time) *record {
	return &record{
		start:     start,
		statuses:  make(map[int]int64),
		errors:    make(map[string]int64),
		latencies: hdrhistogram.New(1, longestLatency.Microseconds(), 3),
	}
}

// answered records an answer.
func (r *record) answered(o outcome, status int, latency time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[o]++
	r.statuses[status]++
	if o == failed {
		r.count(strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status))))
	}
	// Cannot fail: the value is within the histogram's range.
	_ = r.latencies.RecordValue(min(max(latency, time.Microsecond), longestLatency).Microseconds())
}

// admitted records when an admitted request was sent and answered.
func (r *record) admitted(sent, answered time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.admissions = append(r.admissions, admission{int64(sent.Sub(r.start)), int64(answered.Sub(r.start))})
}

// failed records a request without a whole answer.
func (r *record) failed(kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[failed]++
	r.count(kind)
}

// count counts an error's kind.
func (r *record) count(kind string) {
	if _, known := r.errors[kind]; !known && len(r.errors) >= maxKinds {
		kind = "other"
	}
	r.errors[kind]++
}

// Progress is how far a run is.
type Progress struct {
	Elapsed                         time.Duration
	Sent, Admitted, Refused, Errors int64         // requests that have ended; Sent is the sum
	P99                             time.Duration // of the latencies so far
}

func (r *record) progress() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Progress{
		Elapsed:  time.Since(r.start),
		Sent:     r.counts[admitted] + r.counts[refused] + r.counts[failed],
		Admitted: r.counts[admitted],
		Refused:  r.counts[refused],
		Errors:   r.counts[failed],
		P99:      time.Duration(r.latencies.ValueAtQuantile(99)) * time.Microsecond,
	}
}

// kind sorts an error into one of a few kinds. ctx is the run's.
func kind(ctx context.Context, err error) string {
	timeout, isNet := errors.AsType[net.Error](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case ctx.Err() != nil:
		return "cut off by the end of the run"
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return "time-out"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case isDNS:
		return "unknown host: " + dns.Err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the end of the answer"
	}
	text := err.Error()
	return text[:min(len(text), 200)]
}
