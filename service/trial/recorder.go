package trial

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

// Bounds on what is kept.
const (
	MaxTrials = 10_000 // more are not counted
	MaxKeys   = 10_000 // of a trial; more are said as "at least"
)

// Recorder counts what trials would have done. Make one with [New]. All methods are safe for concurrent use.
type Recorder struct {
	seed   maphash.Seed
	now    func() time.Time
	trials sync.Map // name → *trial
	count  atomic.Int64
}

// New is a recorder that has seen nothing.
func New() *Recorder { return &Recorder{seed: maphash.MakeSeed(), now: time.Now} }

// name is what a trial is found by.
type name struct {
	kind, of, value string
}

// The kinds of trial.
const (
	Candidate = "candidate" // of a limit
	Route     = "route"     // in shadow, or enforced for a share of the keys
)

// trial is what one has counted.
type trial struct {
	since          time.Time
	calls, refused atomic.Int64

	mu   sync.Mutex
	keys map[uint64]struct{} // of the calls it would have refused
	more bool
}

// Note counts what a verdict says of trials.
func (r *Recorder) Note(v *httplimit.Verdict) {
	if len(v.Decisions) == 0 || v.Decision.Reason == stint.Degraded { // the second says nothing of the trial: the store is lost
		return
	}
	shadow := false
	for i := range v.Decisions {
		d := &v.Decisions[i]
		if d.By == nil {
			continue
		}
		would := d.Reason == stint.Shadowed
		id, tried := policy.CandidateOf(d.By.ID)
		if !tried {
			shadow = shadow || would
		} else if v.Decision.Allowed {
			r.note(name{Candidate, id, d.By.String()}, v.Key, would)
		}
	}
	if v.Route.Mode == policy.Shadow || v.Route.EnforcePercent < 100 {
		r.note(name{Route, v.Route.Name, v.Route.Mode.String()}, v.Key, shadow || !v.Decision.Allowed)
	}
}

func (r *Recorder) note(n name, key string, refused bool) {
	found, ok := r.trials.Load(n)
	if !ok {
		if r.count.Add(1) > MaxTrials {
			r.count.Add(-1)
			return
		}
		var twice bool
		if found, twice = r.trials.LoadOrStore(n, &trial{since: r.now(), keys: map[uint64]struct{}{}}); twice {
			r.count.Add(-1)
		}
	}
	t := found.(*trial)
	t.calls.Add(1)
	if !refused {
		return
	}
	t.refused.Add(1)
	hash := maphash.String(r.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.keys[hash]; known {
		return
	}
	if len(t.keys) == MaxKeys {
		t.more = true
		return
	}
	t.keys[hash] = struct{}{}
}

// Report is what one trial would have done.
type Report struct {
	Kind    string    `json:"kind"`  // Candidate or Route
	Of      string    `json:"of"`    // the limit's id, or the route's name
	Value   string    `json:"value"` // the candidate's value, or the route's mode
	Since   time.Time `json:"since"`
	Calls   int64     `json:"calls"`
	Refused int64     `json:"would_refuse"`
	Keys    int       `json:"keys"`     // how many the refused calls were of
	AtLeast bool      `json:"at_least"` // there were more keys than are kept
	Percent float64   `json:"percent"`  // Refused of Calls
}

// Reports are all trials, those that would refuse most first.
func (r *Recorder) Reports() []Report {
	var all []Report
	r.trials.Range(func(key, value any) bool {
		n, t := key.(name), value.(*trial)
		report := Report{Kind: n.kind, Of: n.of, Value: n.value, Since: t.since, Refused: t.refused.Load()}
		report.Calls = max(t.calls.Load(), report.Refused)
		t.mu.Lock()
		report.Keys, report.AtLeast = len(t.keys), t.more
		t.mu.Unlock()
		if report.Calls > 0 {
			report.Percent = 100 * float64(report.Refused) / float64(report.Calls)
		}
		all = append(all, report)
		return true
	})
	slices.SortFunc(all, func(a, b Report) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Value, b.Value))
	})
	return all
}
