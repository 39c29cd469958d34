package batch

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/stint-go/stint"
)

// runner is the goroutine that serves the line of a shard until it is empty. It belongs to the store, and Close waits for it.
type runner struct {
	shard *shard
	ahead uint64        // the lone call that is under way when the runner begins
	ended chan struct{} // closed when that has ended

	waiters  []*waiter     // all of One, or all of All
	claims   []stint.Claim // theirs; copies, since a caller may leave
	ends     []int         // where the claims of each end, of All
	outcomes []stint.Outcome

	came      uint64 // callers that had stood in line when the last answers were given
	strangers int    // calls after which nobody is to be waited for
}

func (r *runner) run() {
	r.waitAhead()
	r.serve()
}

// waitAhead waits for the lone call to end, but not for longer than a merged call may take: it has its caller's context alone,
// which may have no end.
func (r *runner) waitAhead() {
	timer := time.NewTimer(r.shard.store.options.Timeout)
	defer timer.Stop()
	select {
	case <-r.ended:
	case <-timer.C:
		sh := r.shard
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if sh.lone == r.ahead {
			sh.lone = 0
			sh.stats.Overtaken++
		}
	}
}

func (r *runner) serve() {
	empty := false
	defer func() {
		if !empty { // the inner store has ended this goroutine
			r.deliver()
			r.shard.store.runners.Go(r.serve)
		}
	}()
	for r.gather() {
		began := time.Now()
		r.ask()
		took := time.Since(began)
		r.deliver()
		r.awaitReturn(took / patience)
	}
	empty = true
}

// awaitReturn lets those who were answered run first, and waits a moment for all of them to be in line again. Callers that ask for one
// decision after the other would miss the next call by a hair, which costs the store as much for half of them as for all. If fewer
// than half return they are strangers, and the next few times nobody is waited for.
func (r *runner) awaitReturn(atMost time.Duration) {
	runtime.Gosched()
	if r.strangers > 0 {
		r.strangers--
		return
	}
	end, came := time.Now().Add(atMost), 0
	for range mostYields {
		if came = int(r.shard.arrived() - r.came); came >= len(r.waiters) || !time.Now().Before(end) {
			break
		}
		runtime.Gosched()
	}
	if came*2 < len(r.waiters) {
		r.strangers = restWithStrangers
	}
}

const (
	// patience is the part of a call's time that is waited at most.
	patience = 8

	// mostYields bounds the wait where calls take long, or where time stands still, as in a test: who returns does so at once.
	mostYields = 1000

	// restWithStrangers is how many calls wait for nobody before it is tried again.
	restWithStrangers = 15
)

// gather takes the first in line and those of its kind behind it, as many as a call may have. It is false, and there is no runner any
// more, if there are none.
func (r *runner) gather() bool {
	sh := r.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r.waiters, r.claims, r.ends = r.waiters[:0], r.claims[:0], r.ends[:0]
	line := sh.next()
	for line.len > 0 && len(r.claims)+max(1, len(line.first.claims)) <= sh.store.options.MaxBatch {
		w := line.pop()
		if err := w.ctx.Err(); err != nil {
			sh.stats.Withdrawn++
			w.tell(stint.Outcome{Err: err})
			if len(r.waiters) == 0 {
				line = sh.next()
			}
			continue
		}
		w.place = underWay
		r.waiters = append(r.waiters, w)
		if w.claims == nil {
			r.claims = append(r.claims, w.claim)
		} else {
			r.claims = append(r.claims, w.claims...)
			r.ends = append(r.ends, len(r.claims))
		}
	}
	if len(r.waiters) == 0 {
		sh.runner = nil
		return false
	}
	sh.stats.Batches++
	sh.stats.Merged += int64(len(r.waiters))
	n := len(r.claims)
	if cap(r.outcomes) < n {
		r.outcomes = make([]stint.Outcome, n)
	}
	r.outcomes = r.outcomes[:n]
	clear(r.outcomes) // what the store leaves unsaid must not be a former call's answer
	return true
}

// ask makes the merged call. What fails as a whole fails for each of its callers.
func (r *runner) ask() {
	returned := false
	var err error
	defer func() {
		if !returned {
			err = &PanicError{recover(), debug.Stack()}
			r.shard.panicked()
		}
		for i := range r.outcomes {
			if err != nil {
				r.outcomes[i] = stint.Outcome{Err: err}
			}
		}
	}()
	ctx, cancel := context.WithDeadline(context.Background(), r.deadline())
	defer cancel()
	if len(r.ends) == 0 {
		err = r.shard.store.inner.Many(ctx, r.claims, r.outcomes)
	} else {
		err = r.shard.store.turns.AllInTurn(ctx, r.claims, r.ends, r.outcomes)
	}
	returned = true
}

func (sh *shard) panicked() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.stats.Panics++
}

// deadline is the latest of the callers' deadlines, within Timeout.
func (r *runner) deadline() time.Time {
	bound := time.Now().Add(r.shard.store.options.Timeout)
	var latest time.Time
	for _, w := range r.waiters {
		d, ok := w.ctx.Deadline()
		if !ok || !d.Before(bound) {
			return bound
		}
		if d.After(latest) {
			latest = d
		}
	}
	return latest
}

// deliver gives each caller its answer.
func (r *runner) deliver() {
	sh := r.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r.came = sh.came
	first := 0
	for i, w := range r.waiters {
		end := i + 1
		if len(r.ends) > 0 {
			end = r.ends[i]
		}
		switch {
		case w.place == left:
			sh.store.recycle(w)
		case len(r.ends) > 0:
			w.tellAll(r.outcomes[first:end])
		default:
			w.tell(r.outcomes[i])
		}
		first = end
	}
}
