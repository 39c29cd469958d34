package stint

import (
	"context"
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
// context's error. Only the first in the queue may have been charged by then: what it had booked ahead is given back unless
// somebody else has booked since, and is lost then.
func (l *Limiter) WaitN(ctx context.Context, key string, n int64) error {
	if err := check(key, n); err != nil {
		return l.failed(ctx, key, n, err)
	}
	if n == 0 {
		return nil
	}
	turn, err := l.queue.enter(ctx, key)
	if err != nil {
		return l.failed(ctx, key, n, err)
	}
	defer l.queue.leave(key, turn)
	return l.waitFirst(ctx, key, n)
}

// waitFirst takes n units as the first in the key's queue.
func (l *Limiter) waitFirst(ctx context.Context, key string, n int64) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := l.doNow(ctx, key, TakeOp(n), n)
		if err != nil || d.Allowed {
			return err
		}
		if d.RetryAfter == Never {
			return ErrNever
		}
		if err := sleep(ctx, d.RetryAfter); err != nil {
			return err
		}
	}
}

// sleep waits for d, or returns ErrDeadline at once if the context ends before.
func sleep(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return ErrDeadline
	}
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
	waiting       atomic.Int64

	mu   sync.Mutex
	keys map[string][]chan struct{}
}

// idle says that nobody waits for any key.
func (q *queue) idle() bool { return q.waiting.Load() == 0 }

// waits says whether somebody waits for the key.
func (q *queue) waits(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.keys[key]) > 0
}

// enter joins the key's queue and returns when its turn has come.
func (q *queue) enter(ctx context.Context, key string) (chan struct{}, error) {
	turn := make(chan struct{})
	q.mu.Lock()
	line := q.keys[key]
	if len(line) >= q.perKey || q.waiting.Load() >= int64(q.total) {
		q.mu.Unlock()
		return nil, ErrQueueFull
	}
	if q.keys == nil {
		q.keys = make(map[string][]chan struct{})
	}
	q.keys[key] = append(line, turn)
	q.waiting.Add(1)
	q.mu.Unlock()
	if len(line) == 0 {
		return turn, nil
	}
	select {
	case <-turn:
		return turn, nil
	case <-ctx.Done():
		q.leave(key, turn)
		return nil, ctx.Err()
	}
}

// leave gives the turn to the next in line.
func (q *queue) leave(key string, turn chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.keys[key]
	for i, t := range line {
		if t != turn {
			continue
		}
		line = append(line[:i], line[i+1:]...)
		if i == 0 && len(line) > 0 {
			close(line[0])
		}
		break
	}
	q.waiting.Add(-1)
	if len(line) == 0 {
		delete(q.keys, key)
		return
	}
	q.keys[key] = line
}

// behindWaiters is the decision of a call that may not overtake those who wait.
func (l *Limiter) behindWaiters(ctx context.Context, key string, cost int64) (Decision, error) {
	d, err := l.doNow(ctx, key, LookOp(max(cost, 1)), cost)
	if err == nil && d.Allowed {
		d.Allowed, d.Reason, d.RetryAfter, d.Granted = false, QueueFull, Unknown, 0
	}
	return d, err
}
