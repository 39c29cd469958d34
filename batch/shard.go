package batch

import (
	"context"
	"runtime/debug"
	"sync"

	"github.com/stint-go/stint"
)

// shard lets one call at a time through to the inner store. It is idle, or a lone caller is under way on its own goroutine, or a
// runner is: a goroutine that serves the line until it is empty. Nobody goes straight through while there is a runner.
type shard struct {
	store *Store

	mu     sync.Mutex
	calls  uint64  // lone calls until now
	lone   uint64  // the number of the lone call under way, 0 if none is or the line has overtaken it
	runner *runner // nil if the line is empty
	closed bool
	ones   line   // callers of One
	alls   line   // callers of All
	came   uint64 // callers that stood in line until now
	stats  Stats
}

// queued is how many callers stand in line.
func (sh *shard) queued() int { return sh.ones.len + sh.alls.len }

// arrived is how many callers have stood in line until now.
func (sh *shard) arrived() uint64 {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.came
}

// line is the one that a waiter stands in, or has to.
func (sh *shard) line(w *waiter) *line {
	if w.claims != nil {
		return &sh.alls
	}
	return &sh.ones
}

// next is the line whose first has waited for longest.
func (sh *shard) next() *line {
	if sh.ones.len == 0 || sh.alls.len > 0 && sh.alls.first.turn < sh.ones.first.turn {
		return &sh.alls
	}
	return &sh.ones
}

// enter makes the caller the lone one of an idle shard, and returns its number, or else a waiter in line: for one claim, or for
// several if there are claims.
func (sh *shard) enter(ctx context.Context, one stint.Claim, claims []stint.Claim, into []stint.Outcome) (uint64, *waiter, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case sh.closed:
		return 0, nil, stint.ErrClosed
	case sh.lone == 0 && sh.runner == nil:
		sh.calls++
		sh.lone = sh.calls
		return sh.lone, nil, nil
	case sh.queued() >= sh.store.options.MaxQueue:
		sh.stats.Full++
		return 0, nil, ErrFull
	}
	w := sh.store.waiters.Get().(*waiter)
	sh.came++
	w.ctx, w.claim, w.claims, w.into, w.turn = ctx, one, claims, into, sh.came
	sh.line(w).push(w)
	if sh.runner == nil {
		sh.start()
	}
	return 0, w, nil
}

// start starts a runner behind the lone call that is under way. The shard is locked.
func (sh *shard) start() {
	sh.runner = &runner{shard: sh, ahead: sh.lone, ended: make(chan struct{})}
	sh.store.runners.Go(sh.runner.run)
}

// direct is the call of a caller who found the shard idle. A panic of the inner store is an error here as it is for merged callers,
// so that what a caller sees does not depend on who else is there.
func (sh *shard) direct(n uint64, call func() error) (err error) {
	returned := false
	defer func() {
		if !returned {
			err = &PanicError{recover(), debug.Stack()}
		}
		sh.leave(n, returned)
	}()
	err = call()
	returned = true
	return err
}

// leave ends a lone call, and tells the runner behind it.
func (sh *shard) leave(n uint64, returned bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !returned {
		sh.stats.Panics++
	}
	if sh.lone != n {
		return // the line has overtaken it
	}
	sh.lone = 0
	if sh.runner != nil {
		close(sh.runner.ended)
	}
}

// wait waits for the answer to a caller in line, or for the end of its context.
func (sh *shard) wait(w *waiter) (stint.Outcome, error) {
	if ends := w.ctx.Done(); ends == nil {
		<-w.done // to wait for one thing costs half of waiting for two
	} else {
		select {
		case <-w.done:
		case <-ends:
			if err := sh.abandon(w); err != nil {
				return stint.Outcome{}, err
			}
			<-w.done
		}
	}
	o := w.answer
	sh.store.recycle(w)
	return o, o.Err
}

// abandon takes a caller whose context has ended out of the line. It returns nil if the answer is there already: that is better
// than an error, since the units are charged.
func (sh *shard) abandon(w *waiter) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	err := w.ctx.Err()
	switch w.place {
	case inLine:
		sh.line(w).remove(w)
		sh.stats.Withdrawn++
		sh.store.recycle(w)
	case underWay:
		w.place = left // whoever delivers recycles it
		sh.stats.Left++
	default:
		return nil
	}
	return err
}

// shut lets nobody in any more and turns away the line. Where a lone call is under way it leaves a runner that waits for it.
func (sh *shard) shut() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.closed = true
	for sh.queued() > 0 {
		sh.next().pop().tell(stint.Outcome{Err: stint.ErrClosed})
	}
	if sh.lone != 0 && sh.runner == nil {
		sh.start()
	}
}
