package telemetry

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
)

// MaxLabels is how many routes, and how many limits, have a label of their own.
const MaxLabels = 500

// other is the label of the rest.
const other = "other"

// Metrics are the metrics of one service. Make them with [NewMetrics]. All methods are safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	decisions *prometheus.CounterVec
	near      *prometheus.CounterVec
	store     *prometheus.HistogramVec
	labels    labels
}

// NewMetrics are metrics of a version of the program, in a registry of their own.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stint_requests_total",
			Help: "Requests by the route that holds and what came of them: admitted, refused, unauthorized, shadowed, uncounted, undecided."}, []string{"route", "outcome"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stint_decisions_total",
			Help: "Decisions by limit and reason: admitted, limited, never, blocked, shadow, degraded, queued."}, []string{"limit", "reason"}),
		near: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stint_near_limit_total",
			Help: "Calls that were admitted and left less than a tenth of the limit."}, []string{"limit"}),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "stint_store_call_seconds",
			Help:    "How long calls of the shared store took, by operation and whether they failed.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}}, []string{"operation", "failed"}),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "stint_build_info", Help: "The version, as a label; the value is 1."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(m.requests, m.decisions, m.near, m.store, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Gauge and Counter add a metric whose value is asked for at each look: names are as Prometheus has them.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter adds a metric that only grows.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Note counts what came of a request.
func (m *Metrics) Note(v *httplimit.Verdict) {
	m.requests.WithLabelValues(m.labels.of(&m.labels.routes, v.Route.Name).name, outcome(v)).Inc()
	for i := range v.Decisions {
		m.Decided(&v.Decisions[i])
	}
}

// Undecided counts a request of the decision API, by its path, for which no decision could be had.
func (m *Metrics) Undecided(path string) {
	m.requests.WithLabelValues(m.labels.of(&m.labels.routes, path).name, undecided).Inc()
}

// Decided counts one decision.
func (m *Metrics) Decided(d *stint.Decision) {
	if d.By == nil {
		return
	}
	limit := m.labels.of(&m.labels.limits, labelOf(d.By.ID))
	m.decided(limit, d.Reason).Inc()
	if d.Reason == stint.Admitted && d.Remaining <= (d.Limit-1)/10 {
		m.near.WithLabelValues(limit.name).Inc()
	}
}

// decided is the counter of a limit's decisions with a reason. It is there from the first such decision on, as its place in what is
// shown; to look it up by its labels each time would cost as much as a decision.
func (m *Metrics) decided(limit *label, reason stint.Reason) prometheus.Counter {
	if int(reason) >= len(limit.decided) {
		return m.decisions.WithLabelValues(limit.name, reason.String())
	}
	kept := &limit.decided[reason]
	if known := kept.Load(); known != nil {
		return *known
	}
	made := m.decisions.WithLabelValues(limit.name, reason.String())
	kept.Store(&made)
	return made
}

// own is the label of all limits that callers of the decision API send. Their ids, which begin like this, hold the user's name and the
// caller's text: as labels they would crowd out the policy's limits, and need not even be texts. No limit of a policy has such an id.
const own = "own~"

func labelOf(id string) string {
	if strings.HasPrefix(id, own) {
		return own
	}
	return id
}

// undecided is the outcome of a request that got no decision.
const undecided = "undecided"

func outcome(v *httplimit.Verdict) string {
	d := &v.Decision
	switch {
	case d.Reason == stint.KeyMissing:
		return "unauthorized"
	case v.Err != nil, d.Reason == stint.Degraded:
		return undecided
	case d.Reason == stint.Skipped:
		return "uncounted"
	case d.Reason == stint.Shadowed:
		return "shadowed"
	case d.Allowed:
		return "admitted"
	}
	return "refused"
}

// labels bounds how many names are labels. Names come from policies, of which there may be many after each other.
type labels struct {
	routes, limits names
}

type names struct {
	mu    sync.RWMutex
	known map[string]*label
	rest  label // of all others
}

// label is a name that is a label, with the counters of a limit's decisions by reason.
type label struct {
	name    string
	decided [16]atomic.Pointer[prometheus.Counter]
}

func (*labels) of(n *names, name string) *label {
	n.mu.RLock()
	known, full := n.known[name], len(n.known) >= MaxLabels
	n.mu.RUnlock()
	switch {
	case known != nil:
		return known
	case full:
		return &n.rest
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known, n.rest.name = map[string]*label{}, other
	}
	known = n.known[name]
	switch {
	case known != nil:
		return known
	case len(n.known) >= MaxLabels:
		return &n.rest
	}
	known = &label{name: name}
	n.known[name] = known
	return known
}

// call notes how long a call of the store took.
func (m *Metrics) call(operation string, begun time.Time, err error) {
	failed := "no"
	if err != nil {
		failed = "yes"
	}
	m.store.WithLabelValues(operation, failed).Observe(time.Since(begun).Seconds())
}
