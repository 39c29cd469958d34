package batch

import (
	"context"

	"github.com/stint-go/stint"
)

// waiter is a caller in line, with its claims. All but done is guarded by the shard's lock until it is answered.
type waiter struct {
	ctx    context.Context
	claim  stint.Claim     // of One
	claims []stint.Claim   // of All, nil else; the caller's own
	into   []stint.Outcome // of All; the caller's own, not to be touched once it has left
	place  place
	turn   uint64        // when it came
	done   chan struct{} // one answer
	answer stint.Outcome // of One; of All the error
	ahead  *waiter
	behind *waiter
}

// place says where a waiter is.
type place uint8

const (
	inLine   place = iota
	underWay       // in a call of the inner store
	answered
	left // its caller has gone while it was under way
)

// tell gives the caller its answer. It never blocks: each waiter is answered once.
func (w *waiter) tell(answer stint.Outcome) {
	w.answer, w.place = answer, answered
	w.done <- struct{}{}
}

// tellAll gives the caller of All its outcomes, or the error of one of them.
func (w *waiter) tellAll(outcomes []stint.Outcome) {
	for i := range outcomes {
		if err := outcomes[i].Err; err != nil {
			w.tell(stint.Outcome{Err: err})
			return
		}
	}
	copy(w.into, outcomes)
	w.tell(stint.Outcome{})
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
