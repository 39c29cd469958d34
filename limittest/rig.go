package limittest

import (
	"fmt"
	"slices"

	"github.com/stint-go/stint"
	"pgregory.net/rapid"
)

// rig is one key of a strategy without a store: it lends cells and keeps the state, as a store does.
type rig struct {
	script
	state stint.State
	now   int64
}

func newRig(l *stint.Limit, books bool) *rig {
	return &rig{script: script{limit: l, books: books}, now: Start}
}

// lend gives a state the cells that its strategy asks for.
func lend(s stint.State, l *stint.Limit) stint.State {
	if words := l.Strategy.Words(l); words > 3 && s.Log == nil {
		s.Log = stint.NewCells(words)
	}
	return s
}

// copyState is an independent copy of a state.
func copyState(s stint.State) stint.State {
	s.Log = s.Log.Clone()
	return s
}

// apply does op at the rig's instant and keeps the state after it.
func (r *rig) apply(op stint.Op) stint.Answer {
	var a stint.Answer
	before := lend(r.state, r.limit)
	r.state, a = r.limit.Strategy.Apply(before, r.limit, r.now, op)
	if r.state.Log == nil {
		r.state.Log = before.Log
	}
	return a
}

// try is what op would answer at an instant; the rig stays as it is.
func (r *rig) try(now int64, op stint.Op) stint.Answer {
	_, a := r.limit.Strategy.Apply(copyState(lend(r.state, r.limit)), r.limit, now, op)
	return a
}

// fresh is what op would answer on a new key.
func (r *rig) fresh(now int64, op stint.Op) stint.Answer {
	_, a := r.limit.Strategy.Apply(lend(stint.State{}, r.limit), r.limit, now, op)
	return a
}

// clone is an independent copy of the rig.
func (r *rig) clone() *rig {
	c := *r
	c.state = copyState(r.state)
	c.receipts = slices.Clone(r.receipts)
	return &c
}

// walkPlain is a random trace of operations that each does itself.
func (r *rig) walkPlain(t *rapid.T, k kinds, each func(op stint.Op)) {
	t.Repeat(map[string]func(*rapid.T){
		"op":   func(t *rapid.T) { each(r.op(t, k)) },
		"op2":  func(t *rapid.T) { each(r.op(t, k)) },
		"time": func(t *rapid.T) { r.now = r.move(t, r.now, k) },
	})
}

// walk is a random trace; each is called after each operation.
func (r *rig) walk(t *rapid.T, k kinds, each func(op stint.Op, a stint.Answer)) {
	r.walkPlain(t, k, func(op stint.Op) {
		a := r.apply(op)
		r.did(r.now, op, a)
		each(op, a)
	})
}

// refused says whether an answer is a refusal of the operation.
func refused(op stint.Op, a stint.Answer) bool { return op.Kind() == stint.Grant && a.Granted < op.Min }

// show is an operation as text.
func show(op stint.Op) string {
	switch op.Kind() {
	case stint.Look:
		return fmt.Sprintf("look %d", op.Min)
	case stint.Charge:
		return fmt.Sprintf("charge %d", op.Max)
	case stint.Refund:
		return fmt.Sprintf("refund %d taken at %d", -op.Max, op.Wait)
	case stint.Credit:
		return fmt.Sprintf("credit %d", -op.Max)
	case stint.Clear:
		return "reset"
	}
	switch {
	case op.Wait > 0:
		return fmt.Sprintf("take %d within %d", op.Max, op.Wait)
	case op.Min < op.Max:
		return fmt.Sprintf("take %d up to %d", op.Min, op.Max)
	}
	return fmt.Sprintf("take %d", op.Max)
}

// showLimit is a limit as text.
func showLimit(l *stint.Limit) string {
	return fmt.Sprintf("%s %d/%v capacity %d", l.Strategy.Name(), l.Units, l.Per, l.Capacity())
}
