package main

import (
	"context"
	"time"

	"github.com/stint-go/stint/service/telemetry"
)

// watching is all that a service tells the outside.
type watching struct {
	metrics  *telemetry.Metrics
	tracing  *telemetry.Tracing
	refusals *telemetry.Refusals
}

// tracesWithin bounds how long the stop waits for the last traces to be sent.
const tracesWithin = 3 * time.Second

// newWatching begins to watch, and is closed with the job.
func newWatching(ctx context.Context, j *job) (*watching, error) {
	w := &watching{metrics: telemetry.NewMetrics(version)}
	var err error
	if w.tracing, err = telemetry.NewTracing(ctx, version); err != nil {
		return nil, err
	}
	if w.refusals, err = telemetry.NewRefusals(j.log); err != nil {
		return nil, err
	}
	j.closing = append(j.closing, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, tracesWithin)
		defer cancel()
		if err := w.tracing.Close(ctx); err != nil {
			j.log.Warn("the last traces were not sent", "error", err)
		}
		return w.refusals.Close()
	})
	return w, nil
}

// watch adds the metrics of what the service leans on.
func (w *watching) watch(j *job, s *policyServer) {
	m := w.metrics
	if j.shared != nil {
		stats := j.shared.Stats
		m.Gauge("stint_store_lost", "1 while the shared store is lost, and each limit's on-store-loss holds.", func() float64 { return number(stats().Lost) })
		m.Counter("stint_store_losses_total", "How often the shared store was lost.", func() float64 { return float64(stats().Losses) })
		m.Counter("stint_store_failures_total", "Calls that got no answer of the shared store in time.", func() float64 { return float64(stats().Failures) })
	}
	if c := s.callers; c != nil {
		m.Gauge("stint_accounts_lost", "1 if the last look-up of an API key got no answer of the database.", func() float64 { return number(c.directory.Stats().Lost) })
		m.Counter("stint_accounts_looks_total", "API keys that were looked up, in the cache or the database.", func() float64 { return float64(c.directory.Stats().Looks) })
		m.Counter("stint_accounts_hits_total", "API keys that were found in the cache.", func() float64 { return float64(c.directory.Stats().Hits) })
		m.Counter("stint_accounts_failures_total", "Look-ups that got no answer of the database.", func() float64 { return float64(c.directory.Stats().Failed) })
		m.Counter("stint_accounts_graced_total", "Calls that were let go on by an old answer while the database was lost.", func() float64 { return float64(c.directory.Stats().Graced) })
		m.Gauge("stint_usage_pending", "Counts that wait to be written.", func() float64 { return float64(c.usage.Stats().Pending) })
		m.Counter("stint_usage_failures_total", "Writings of usage that failed; they are tried again.", func() float64 { return float64(c.usage.Stats().Failed) })
		m.Counter("stint_usage_lost_total", "Calls that usage does not count, since the database was lost for too long.", func() float64 { return float64(c.usage.Stats().Lost) })
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
