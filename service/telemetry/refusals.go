package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"sync/atomic"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
)

// Refusals logs refused requests: of each key one a second, and a hundred a second in all, each with how many were left out before it.
// Keys are hashed. Close it at the end.
type Refusals struct {
	log     *slog.Logger
	limiter *stint.Limiter
	all     *stint.Limiter
	silent  atomic.Int64
}

// NewRefusals logs to a logger.
func NewRefusals(log *slog.Logger) (*Refusals, error) {
	memory, err := stint.NewMemory(stint.MemoryOptions{MaxKeys: 10_000})
	if err != nil {
		return nil, err
	}
	r := &Refusals{log: log}
	if r.limiter, err = stint.NewWith(stint.Options{Store: memory}, stint.PerSecond(1).WithBurst(1)); err != nil {
		return nil, err
	}
	r.all, err = stint.New(stint.PerSecond(100).WithBurst(100))
	return r, err
}

// Note logs a verdict that refuses.
func (r *Refusals) Note(v *httplimit.Verdict) {
	d := &v.Decision
	if d.Allowed || v.Key == "" || v.Err != nil || d.Reason == stint.Degraded && d.RetryAfter == stint.Unknown { // nobody knows: no refusal
		return
	}
	if !r.limiter.Allow(v.Key) || !r.all.Allow("all") {
		r.silent.Add(1)
		return
	}
	limit := ""
	if d.By != nil {
		limit = d.By.ID
	}
	attributes := []slog.Attr{slog.String("route", v.Route.Name), slog.String("limit", limit), slog.String("reason", d.Reason.String()),
		slog.String("key", Hashed(v.Key)), slog.Int64("others_refused", r.silent.Swap(0))}
	if wait, known := d.RetrySeconds(); known {
		attributes = append(attributes, slog.Int64("retry_after_s", wait))
	}
	r.log.LogAttrs(context.Background(), slog.LevelInfo, "refused", attributes...)
}

// Close ends it.
func (r *Refusals) Close() error {
	_ = r.all.Close() // memory has nothing to lose
	return r.limiter.Close()
}

// Hashed is a key as logs have it: the same for the same key, and no way back.
func Hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:6])
}
