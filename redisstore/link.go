package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// link sends calls to the server, or to the Cluster's servers.
type link struct {
	client  redis.UniversalClient
	cluster *redis.ClusterClient // nil for a single server
	timeout time.Duration
	forgot  func()      // a server was met that has lost our scripts, and maybe more
	old     atomic.Bool // a server was met that does not know declared scripts

	replicas       int // that are to have what was written, see replicas.go
	replicaTimeout time.Duration
	late           atomic.Int64 // times that there were fewer
}

// The waits between tries of a call that surely did not run.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 50 * time.Millisecond
)

// bounded is a context with a deadline.
func (k *link) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, k.timeout)
}

// run does the calls, in one round trip, and tries again until the deadline those that surely did not run. Each call keeps its own
// error.
func (k *link) run(ctx context.Context, calls ...*call) {
	for pause := firstPause; ; {
		if err := ctx.Err(); err != nil {
			for _, c := range calls {
				if c.err == nil {
					c.err = notSent{err}
				}
			}
			return
		}
		for _, c := range calls {
			c.plain = k.old.Load()
		}
		k.send(ctx, calls)
		var again []*call
		wait := false
		for _, c := range calls {
			switch {
			case c.err == nil:
			case says(c.err, "NOSCRIPT") && !c.whole:
				c.whole = true // at once, with the source
				again = append(again, c)
			case undeclared(c.err) && !c.plain:
				k.old.Store(true)
				again = append(again, c)
			case passes(c.err):
				wait = true
				again = append(again, c)
			case !isServers(c.err):
				k.lost()
			}
		}
		if calls = again; len(calls) == 0 {
			return
		}
		if !wait {
			k.forgot()
			continue
		}
		k.lost()
		if !sleep(ctx, pause/2+rand.N(pause)) {
			return
		}
		pause = min(2*pause, lastPause)
	}
}

// try does a command that may be done twice, until the deadline if it could not be done.
func (k *link) try(ctx context.Context, command func() redis.Cmder) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := command().Err()
		if errors.Is(err, redis.Nil) {
			return err
		}
		if !passes(err) {
			return told(err)
		}
		k.lost()
		if !sleep(ctx, pause) {
			return told(err)
		}
	}
}

// send sends the calls once.
func (k *link) send(ctx context.Context, calls []*call) {
	if k.replicas > 0 {
		k.sendWaiting(ctx, calls)
		return
	}
	if len(calls) == 1 {
		cmd := calls[0].command(ctx)
		_ = k.client.Process(ctx, cmd) // the command has the error
		calls[0].done(cmd)
		return
	}
	commands := make([]*once, len(calls))
	pipe := k.client.Pipeline()
	for i, c := range calls {
		commands[i] = c.command(ctx)
		_ = pipe.Process(ctx, commands[i])
	}
	_, err := pipe.Exec(ctx)
	for i, c := range calls {
		if c.done(commands[i]); c.err == nil && c.answer == nil {
			c.err = err // the pipeline ended before it
		}
	}
}

// lost makes a Cluster's client look at once who is a master now.
func (k *link) lost() {
	if k.cluster != nil {
		k.cluster.ReloadState(context.Background())
	}
}

// sleep waits, and says whether the context has time left.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, has := ctx.Deadline(); has && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
