package accounts

import (
	"context"
	"fmt"
	"sync"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

// tries holds addresses to what they may fail. What it would cost to fail is taken before a look-up and given back after success, so that
// no number of guesses at once passes. A look-up that finds no room only because others of its address are under way waits for them: they
// may all be callers who have just come, behind one proxy.
type tries struct {
	limiter *stint.Limiter

	mu       sync.Mutex
	underWay map[string]*underWay
}

// underWay are the look-ups of an address that are under way.
type underWay struct {
	count int
	ended chan struct{} // closed when one ends
}

// begin takes a try of the address. A try that was begun is ended, once.
func (t *tries) begin(ctx context.Context, address string) (end func(found bool), err error) {
	if address == "" {
		address = "nowhere"
	}
	for {
		took, err := t.limiter.Take(ctx, address, 1)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		t.mu.Lock()
		u := t.underWay[address]
		if took.Allowed {
			if u == nil {
				u = &underWay{ended: make(chan struct{})}
				t.underWay[address] = u
			}
			u.count++
			t.mu.Unlock()
			receipt, _ := took.Receipt()
			return func(found bool) { t.end(address, receipt, found) }, nil
		}
		if u == nil {
			t.mu.Unlock()
			return nil, &policy.TriesError{RetryAfter: took.RetryAfter}
		}
		ended := u.ended
		t.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
}

// end ends a try, and gives it back unless it has failed.
func (t *tries) end(address string, receipt stint.Receipt, back bool) {
	if back {
		_, _ = t.limiter.Refund(context.Background(), receipt) // memory does not fail
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.underWay[address]
	if u.count--; u.count == 0 {
		delete(t.underWay, address)
	}
	close(u.ended)
	u.ended = make(chan struct{})
}
