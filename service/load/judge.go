package load

import (
	"encoding/json"
	"time"

	"github.com/stint-go/stint"
)

// Verdict says whether an expected limit held, by the formula of its strategy ([stint.Limit.MostIn]).
type Verdict struct {
	Limit    string `json:"limit"`
	Strategy string `json:"strategy"`
	Held     bool   `json:"held"`

	// Admitted of at most Allowed were surely admitted within one Window: the limit's span, or the window that broke the limit
	// by the most. Allowed is math.MaxInt64 where there is no bound to break.
	Admitted int64         `json:"admitted"`
	Allowed  int64         `json:"allowed"`
	Window   time.Duration `json:"-"`
}

// MarshalJSON adds the window, in seconds.
func (v Verdict) MarshalJSON() ([]byte, error) {
	type plain Verdict
	return json.Marshal(struct {
		plain
		Window float64 `json:"window_seconds"`
	}{plain(v), v.Window.Seconds()})
}

// sure is how long a window may be to surely fit into one of so many nanoseconds, on a clock that differs by up to 500 parts in
// a million, the most that clocks are corrected by, and is read in microseconds.
func sure(window time.Duration) int64 {
	return int64(window) - int64(window)/2000 - int64(time.Microsecond)
}

// judge judges limits by the admissions of a run that took so long.
func judge(limits []*stint.Limit, t timeline, elapsed time.Duration) (verdicts []Verdict, held bool) {
	held = true
	for _, limit := range limits {
		v := Verdict{Limit: limit.String(), Strategy: limit.Strategy.Name(), Held: true}
		for i, window := range windows(limit.Per, elapsed) {
			within, allowed := t.mostWithin(sure(window)), limit.MostIn(window)
			if i == 0 || within-allowed > max(0, v.Admitted-v.Allowed) {
				v.Admitted, v.Allowed, v.Window = within, allowed, window
			}
			v.Held = v.Held && within <= allowed
		}
		verdicts = append(verdicts, v)
		held = held && v.Held
	}
	return verdicts, held
}

// windows are the lengths at which a limit is judged: its own span, then shorter ones, where a burst would show, then longer
// ones up to the run's, where a rate would.
func windows(per, elapsed time.Duration) []time.Duration {
	all := []time.Duration{per}
	for w := per / 2; w >= max(per/1024, 10*time.Microsecond); w /= 2 {
		all = append(all, w)
	}
	for w := per; w < elapsed; {
		w += min(w, elapsed-w)
		all = append(all, w)
	}
	return all
}
