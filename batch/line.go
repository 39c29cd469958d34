package batch

import (
	"context"

	"github.com/stint-go/stint"
)

// waiter is a caller in line, with its claim. All but done is guarded by the shard's lock until it is answered.
type waiter struct {
	ctx     context.Context
	claim   stint.Claim
	outcome stint.Outcome
	place   place
	done    chan struct{} // one answer
	ahead   *waiter
	behind  *waiter
}

// place says where a waiter is.
type place uint8

const (
	inLine   place = iota
	underWay       // in a call of the inner store
	answered
	left // its caller has gone while it was under way
)

// answer tells the caller. It never blocks: each waiter is answered once.
func (w *waiter) answer(o stint.Outcome) {
	w.outcome, w.place = o, answered
	w.done <- struct{}{}
}

// recycle keeps a waiter whom nobody knows any more for the next caller.
func (s *Store) recycle(w *waiter) {
	*w = waiter{done: w.done}
	s.waiters.Put(w)
}

// line is first in, first out; whoever leaves is taken out wherever it stands.
type line struct {
	first, last *waiter
	len         int
}

func (l *line) push(w *waiter) {
	if l.last == nil {
		l.first = w
	} else {
		l.last.behind, w.ahead = w, l.last
	}
	l.last = w
	l.len++
}

func (l *line) pop() *waiter {
	w := l.first
	l.remove(w)
	return w
}

func (l *line) remove(w *waiter) {
	if w.ahead == nil {
		l.first = w.behind
	} else {
		w.ahead.behind = w.behind
	}
	if w.behind == nil {
		l.last = w.ahead
	} else {
		w.behind.ahead = w.ahead
	}
	w.ahead, w.behind = nil, nil
	l.len--
}
