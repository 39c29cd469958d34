package client

import (
	"sync"
	"time"
)

// Bounds on what is remembered: so many refusals, each for so long at most, so that a reset or a refund elsewhere shows after a second.
const (
	maxRefusals = 10_000
	longest     = time.Second
)

// refusals remembers calls by limit and key that were refused.
type refusals struct {
	mu    sync.Mutex
	known map[refusedKey]refusal
}

type refusedKey struct{ limit, key, plan string }

type refusal struct {
	cost  int64 // this much is refused; more of it waits for longer, which the service knows
	until time.Time
	next  time.Time // when the call would pass
	d     Decision
}

func (r *refusals) init() { r.known = map[refusedKey]refusal{} }

func costOf(call *Call) int64 {
	if call.Cost == nil {
		return 1
	}
	return *call.Cost
}

// find is the refusal of a call that cannot pass yet.
func (r *refusals) find(call *Call, now time.Time) (Decision, bool) {
	if call.Limit == "" || call.Idempotency != "" {
		return Decision{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.known[refusedKey{call.Limit, call.Key, call.Plan}]
	if !ok || !now.Before(known.until) || costOf(call) != known.cost {
		return Decision{}, false
	}
	d := known.d
	d.RetryAfter, d.Remembered = known.next.Sub(now), true
	return d, true
}

// note remembers a refusal, and forgets it where the call was admitted.
func (r *refusals) note(call *Call, d *Decision, now time.Time) {
	if call.Limit == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := refusedKey{call.Limit, call.Key, call.Plan}
	if d.Allowed || d.RetryAfter <= 0 || d.Reason != "limited" && d.Reason != "blocked" {
		delete(r.known, key)
		return
	}
	if len(r.known) >= maxRefusals {
		for old, known := range r.known { // those that are over, or any
			if delete(r.known, old); now.Before(known.until) {
				break
			}
		}
	}
	r.known[key] = refusal{costOf(call), now.Add(min(d.RetryAfter, longest)), now.Add(d.RetryAfter), *d}
}
