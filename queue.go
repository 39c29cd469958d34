package stint

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Wait returns when one unit of the key was granted, or with an error when that cannot be.
func (l *Limiter) Wait(ctx context.Context, key string) error { return l.WaitN(ctx, key, 1) }

// WaitN returns when n units of the key were granted. Callers of one limiter are served in the order in which they came; while
// some wait for a key, its Allow and Take refuse, so that nobody overtakes them.
//
// It returns at once, taking nothing, with ErrNever if n is more than a limit can ever admit, with ErrDeadline if the context
// would end before the grant, and with ErrQueueFull if too many wait. When the context ends during the wait it returns the
// context's error. Only the first in the queue may have been charged by then: what it had booked ahead is given back, unless
// somebody else has booked since; then it stays charged.
func (l *Limiter) WaitN(ctx context.Context, key string, n int64) error {
	err := check(key, n)
	var d Decision
	if err == nil && n > 0 {
		err = l.wait(ctx, key, n, &d)
	}
	if l.observers != nil {
		l.observe(ctx, key, n, d, err)
	}
	return err
}

func (l *Limiter) wait(ctx context.Context, key string, n int64, d *Decision) error {
	limits := *l.limits.Load()
	if len(limits) == 0 {
		return ErrNoLimit
	}
	for _, limit := range limits {
		if n > limit.capacity {
			return ErrNever
		}
	}
	w := &waiter{turn: make(chan struct{}), n: n}
	first, err := l.queue.enter(ctx, key, w, limits)
	if err != nil {
		return err
	}
	defer l.queue.leave(key, w)
	if !first {
		select {
		case <-w.turn:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := l.waitFirst(ctx, key, n, w, d)
		if err != nil || d.Allowed {
			return err
		}
	}
}

// waitFirst asks for n units as the first in the key's queue: it books them ahead where the strategy can, and else waits until
// the store may be asked again.
func (l *Limiter) waitFirst(ctx context.Context, key string, n int64, w *waiter, d *Decision) error {
	limits := *l.limits.Load()
	if len(limits) != 1 || !limits[0].books() {
		if err := l.ask(ctx, key, TakeOp(n), d); err != nil || d.Allowed {
			return err
		}
		return l.again(ctx, key, w, d)
	}
	limit := limits[0]
	ahead := l.queue.ahead
	if deadline, ok := ctx.Deadline(); ok {
		ahead = min(ahead, max(0, time.Until(deadline)))
	}
	a, m, err := l.store.One(ctx, limit, key, WithinOp(n, int64(ahead/Tick)))
	if err != nil {
		return err
	}
	d.fill(limit, key, TakeOp(n), a, m, rand.Uint64())
	if !d.Allowed {
		if deadline, ok := ctx.Deadline(); ok && d.Reason == Limited && time.Until(deadline) < d.RetryAfter+ahead {
			return ErrDeadline // what was refused is a grant within ahead, and the wait goes on from there
		}
		return l.again(ctx, key, w, d)
	}
	if a.Wait == 0 {
		return nil
	}
	if err := l.pause(ctx, key, w, duration(a.Wait)); err != nil {
		undo := context.WithoutCancel(ctx) // the context's end is why it is undone
		if _, _, failed := l.store.One(undo, limit, key, UndoOp(n, m.At()+a.Reset)); failed != nil {
			return failed
		}
		return err
	}
	return nil
}

// ask is a take without a word to the observers.
func (l *Limiter) ask(ctx context.Context, key string, op Op, d *Decision) error {
	limits := *l.limits.Load()
	if len(limits) == 0 {
		return ErrNoLimit // they were taken away during a wait
	}
	claims, outcomes := make([]Claim, len(limits)), make([]Outcome, len(limits))
	for i, limit := range limits {
		claims[i] = Claim{Limit: limit, Key: key, Op: op}
	}
	if err := l.store.All(ctx, claims, outcomes); err != nil {
		return err
	}
	for i, limit := range limits {
		var one Decision
		one.fill(limit, key, op, outcomes[i].Answer, outcomes[i].Mark, rand.Uint64())
		if i == 0 || one.Stricter(d) {
			*d = one
		}
	}
	return nil
}

// askAgain is after how long the first in a queue asks again a store that does not know when it will grant.
const askAgain = time.Second

// again waits until a refused call may be asked again.
func (l *Limiter) again(ctx context.Context, key string, w *waiter, d *Decision) error {
	switch d.RetryAfter {
	case Never:
		return ErrNever
	case Unknown:
		return l.pause(ctx, key, w, askAgain)
	}
	return l.pause(ctx, key, w, d.RetryAfter)
}

// pause waits for d, or returns ErrDeadline at once if the context ends before.
func (l *Limiter) pause(ctx context.Context, key string, w *waiter, d time.Duration) error {
	until := time.Now().Add(d)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		return ErrDeadline
	}
	l.queue.note(key, w, until)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// queue holds the callers that wait, first come first served for each key.
type queue struct {
	perKey, total int
	ahead         time.Duration
	waiting       atomic.Int64

	mu    sync.Mutex
	lines map[string]*line
}

// line is the queue of one key. The first asks the store; the others wait for their turn.
type line struct {
	waiters []*waiter
	until   time.Time // when the first expects its grant, as far as it knows
}

type waiter struct {
	turn chan struct{} // closed when the waiter is the first
	n    int64
}

// idle says that nobody waits for any key.
func (q *queue) idle() bool { return q.waiting.Load() == 0 }

// waits says whether somebody waits for the key.
func (q *queue) waits(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines[key] != nil
}

// enter joins the key's queue and says whether the waiter is its first. It refuses one whose context is sure to end before its
// turn.
func (q *queue) enter(ctx context.Context, key string, w *waiter, limits []*Limit) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[key]
	if l == nil {
		l = &line{}
	}
	if len(l.waiters) >= q.perKey || q.waiting.Load() >= int64(q.total) {
		return false, ErrQueueFull
	}
	if deadline, ok := ctx.Deadline(); ok && len(l.waiters) > 0 {
		if deadline.Before(l.until.Add(refillTime(limits, l.waiters, w))) {
			return false, ErrDeadline
		}
	}
	if q.lines == nil {
		q.lines = make(map[string]*line)
	}
	q.lines[key] = l
	l.waiters = append(l.waiters, w)
	q.waiting.Add(1)
	return len(l.waiters) == 1, nil
}

// note tells the queue when its first expects its grant.
func (q *queue) note(key string, w *waiter, until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lines[key]; l != nil && l.waiters[0] == w {
		l.until = until
	}
}

// leave takes the waiter out of the queue, and gives the turn to the next if it was the first.
func (q *queue) leave(key string, w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[key]
	for i, other := range l.waiters {
		if other != w {
			continue
		}
		l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
		if i == 0 && len(l.waiters) > 0 {
			close(l.waiters[0].turn)
		}
		break
	}
	q.waiting.Add(-1)
	if len(l.waiters) == 0 {
		delete(q.lines, key)
	}
}

// refillTime is the least time from the grant of the first waiter to that of w, who comes last: a token bucket is refilled for all
// but the first, and pacing spaces each by the one before. Other strategies may free any number at once, and where there are
// several limits the first may wait for another one than w.
func refillTime(limits []*Limit, waiters []*waiter, w *waiter) time.Duration {
	if len(limits) != 1 || !limits[0].books() || limits[0].wide {
		return 0
	}
	units := int64(0)
	for _, other := range waiters {
		units += other.n
	}
	if _, paced := limits[0].Strategy.(Pacing); !paced {
		units += w.n - waiters[0].n
	}
	return duration(limits[0].byP.of(limits[0].parts(units)))
}

// behindWaiters is the decision of a call that may not overtake those who wait.
func (l *Limiter) behindWaiters(ctx context.Context, key string, cost int64, into *Decision) error {
	err := l.ask(ctx, key, LookOp(cost), into)
	if err == nil {
		into.standBehind()
	}
	if l.observers != nil {
		l.observe(ctx, key, cost, *into, err)
	}
	return err
}

// standBehind makes of a look that would pass the refusal of a call that others wait before.
func (d *Decision) standBehind() {
	if d.Allowed {
		d.Allowed, d.Reason, d.RetryAfter = false, Queued, Unknown
	}
}
