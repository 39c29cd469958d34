package client

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// maxBatch is how many calls go in one request.
const maxBatch = 256

// batches sends takes that come at the same time in one request. One is under way at a time.
type batches struct {
	mu      sync.Mutex
	busy    bool
	waiting []*waiter
	under   sync.WaitGroup
}

// waiter is a call and what came of it, which is set before done is closed.
type waiter struct {
	call   Call
	result Result
	done   chan struct{}
}

// take sends the call with others, and waits for its decision. A call whose caller leaves is sent all the same, unless it still waits.
func (b *batches) take(ctx context.Context, c *Client, call Call) (Decision, error) {
	w := &waiter{call: call, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	if !b.busy {
		b.busy = true
		b.under.Go(func() { b.run(c) })
	}
	b.mu.Unlock()
	select {
	case <-w.done:
		return w.result.Decision, w.result.Err
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		select {
		case <-w.done: // at the same moment: what was charged is better told
			return w.result.Decision, w.result.Err
		default:
		}
		for i, other := range b.waiting {
			if other == w {
				b.waiting = append(b.waiting[:i:i], b.waiting[i+1:]...)
				break
			}
		}
		return Decision{}, ctx.Err()
	}
}

// run sends what waits, until nothing does.
func (b *batches) run(c *Client) {
	for {
		b.mu.Lock()
		part := b.waiting[:min(len(b.waiting), maxBatch)]
		b.waiting = b.waiting[len(part):]
		if len(part) == 0 {
			b.busy = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		calls := make([]Call, len(part))
		for i, w := range part {
			calls[i] = w.call
		}
		// The callers' contexts differ; each leaves by itself when its own ends, and the request has a time-out of its own.
		results, err := c.TakeMany(context.Background(), calls)
		if problem, ok := err.(*Problem); ok && len(part) > 1 { //nolint:errorlint // it is ours, and not wrapped
			switch problem.Status {
			case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
				results, err = b.apart(c, calls), nil // one is wrong, and spoils the others' request
			}
		}
		for i, w := range part {
			if w.result.Err = err; err == nil {
				w.result = results[i]
			}
			close(w.done)
		}
	}
}

// apart sends calls one by one, until the service does not answer any more.
func (*batches) apart(c *Client, calls []Call) []Result {
	results := make([]Result, len(calls))
	var lost error
	for i := range calls {
		if lost != nil {
			results[i].Err = lost
			continue
		}
		one, err := c.TakeMany(context.Background(), calls[i:i+1])
		if err == nil {
			results[i] = one[0]
			continue
		}
		if results[i].Err = err; !errors.As(err, new(*Problem)) {
			lost = err
		}
	}
	return results
}
