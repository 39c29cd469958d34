package load

import (
	"encoding/json"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run has found. It encodes to JSON with all times in the units that the names say.
type Report struct {
	URL     string        `json:"url"`
	Method  string        `json:"method"`
	Rate    string        `json:"rate"`
	Elapsed time.Duration `json:"-"`

	// Sent is Admitted + Refused + Errors.
	Sent     int64 `json:"sent"`
	Admitted int64 `json:"admitted"`
	Refused  int64 `json:"refused"`
	Errors   int64 `json:"errors"`

	Statuses     map[int]int64    `json:"statuses"`
	ErrorsByKind map[string]int64 `json:"errors_by_kind"`
	Latencies    Latencies        `json:"latencies"`

	// WorstWindow is the most that was surely admitted within any one window as long as Window: the first expected limit's span,
	// or the rate's if none is expected. The other two count by the time of sending and of answering.
	Window              time.Duration `json:"-"`
	WorstWindow         int64         `json:"worst_window"`
	WorstWindowBySent   int64         `json:"worst_window_by_sent"`
	WorstWindowByAnswer int64         `json:"worst_window_by_answer"`

	// Verdicts are one for each expected limit, and Held says whether all held.
	Verdicts []Verdict `json:"expect,omitempty"`
	Held     bool      `json:"held"`
}

// MarshalJSON adds the durations, in seconds.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	return json.Marshal(struct {
		plain
		Elapsed float64 `json:"elapsed_seconds"`
		Window  float64 `json:"window_seconds"`
	}{plain(r), r.Elapsed.Seconds(), r.Window.Seconds()})
}

// Latencies are of the requests that were answered, from the instant at which they were to be sent to the end of the answer.
type Latencies struct{ P50, P90, P99, P999, Max time.Duration }

// MarshalJSON gives milliseconds.
func (l Latencies) MarshalJSON() ([]byte, error) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return json.Marshal(map[string]any{
		"unit": "ms", "p50": ms(l.P50), "p90": ms(l.P90), "p99": ms(l.P99), "p99.9": ms(l.P999), "max": ms(l.Max),
	})
}

func latenciesOf(h *hdrhistogram.Histogram) Latencies {
	at := func(percent float64) time.Duration {
		return time.Duration(h.ValueAtQuantile(percent)) * time.Microsecond
	}
	return Latencies{at(50), at(90), at(99), at(99.9), time.Duration(h.Max()) * time.Microsecond}
}

// report makes the report of a run that has ended.
func (r *run) report(elapsed time.Duration) Report {
	o, c := r.options, r.record
	p := c.progress()
	timeline := newTimeline(c.admissions)
	verdicts, held := judge(o.expect, timeline, elapsed)
	return Report{
		URL: o.URL, Method: o.Method, Rate: o.Rate.String(), Elapsed: elapsed,
		Sent: p.Sent, Admitted: p.Admitted, Refused: p.Refused, Errors: p.Errors,
		Statuses: c.statuses, ErrorsByKind: c.errors,
		Latencies:           latenciesOf(c.latencies),
		Window:              o.window,
		WorstWindow:         timeline.mostWithin(sure(o.window)),
		WorstWindowBySent:   mostAt(c.admissions, int64(o.window), func(a admission) int64 { return a.sent }),
		WorstWindowByAnswer: mostAt(c.admissions, int64(o.window), func(a admission) int64 { return a.answered }),
		Verdicts:            verdicts,
		Held:                held,
	}
}
