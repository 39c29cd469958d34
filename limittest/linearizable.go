package limittest

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stint-go/stint"
)

// rounds is how many histories the test of linearizability records for each strategy.
var rounds = flag.Int("limittest.rounds", 50, "limittest: histories to record for each strategy in the test of linearizability")

// call is an operation on one of the keys of a history, and what came of it.
type call struct {
	key string
	op  stint.Op
}

type outcome struct {
	answer stint.Answer
	at     int64 // the store's instant
	err    error
}

// storeLinearizable: calls on a key that overlap answer as if they had come one after the other, each at an instant between its
// beginning and its end, at the time that its mark says.
func storeLinearizable(t *testing.T, s *shelf) {
	next, last := s.stores(t)
	defer last()
	for _, strategy := range s.Strategies {
		t.Run(strategy.Name(), func(t *testing.T) {
			for round := range s.Rounds {
				store, clock := next()
				limit := s.compiled(t, stint.Limit{Units: 40, Per: time.Second / 4, Strategy: strategy})
				history := s.record(store, clock, limit, uint64(round))
				result := porcupine.CheckOperationsTimeout(modelOf(limit), history, time.Minute)
				if result != porcupine.Ok {
					t.Fatalf("%s: round %d: the history is %s:\n%s", showLimit(limit), round, result, showHistory(history))
				}
			}
		})
	}
}

const (
	phases    = 4  // of a history: all callers end one before any begins the next,
	callsEach = 10 // of a caller in a phase; so what may overlap is bounded, and with it the search for an order
)

// record lets callers loose on two keys of a store, and returns what they did.
func (s *shelf) record(store stint.Store, clock *Clock, limit *stint.Limit, seed uint64) []porcupine.Operation {
	recorders := make([]recorder, min(s.Callers, 4))
	var order atomic.Int64
	for i := range recorders {
		recorders[i] = recorder{
			store: store, clock: clock, limit: limit, id: i, order: &order, nonce: s.nonce,
			random: rand.New(rand.NewPCG(seed, uint64(i))), taken: map[string][]receipt{},
		}
	}
	for range phases {
		together(len(recorders), func(i int) {
			for range callsEach {
				recorders[i].call()
			}
		})
	}
	var history []porcupine.Operation
	for i := range recorders {
		history = append(history, recorders[i].history...)
	}
	return history
}

// recorder is one caller of a history.
type recorder struct {
	store   stint.Store
	clock   *Clock
	limit   *stint.Limit
	id      int
	random  *rand.Rand
	order   *atomic.Int64
	nonce   func() uint64
	taken   map[string][]receipt
	history []porcupine.Operation
}

// call makes one call, and now and then moves the clock.
func (r *recorder) call() {
	c := call{key: fmt.Sprint("key", r.random.IntN(2))}
	c.op = r.op(c.key)
	var o outcome
	var mark stint.Mark
	begun := r.order.Add(1)
	if c.op.Kind() == stint.Refund {
		o.answer, mark, o.err = r.store.Refund(context.Background(), r.limit, c.key, c.op, r.nonce())
	} else {
		o.answer, mark, o.err = r.store.One(context.Background(), r.limit, c.key, c.op)
	}
	ended := r.order.Add(1)
	o.at = mark.At()
	if c.op.Kind() == stint.Grant && o.answer.Granted > 0 {
		r.taken[c.key] = append(r.taken[c.key], receipt{o.at, o.answer.Granted})
	}
	r.history = append(r.history, porcupine.Operation{ClientId: r.id, Input: c, Call: begun, Output: o, Return: ended})
	if r.clock != nil && r.random.IntN(3) == 0 {
		r.clock.Advance(r.random.Int64N(ticks(time.Second) / 160))
	}
}

// op draws one operation: any of them, now and then a reset, which leaves the receipts from before it in the callers' hands.
func (r *recorder) op(key string) stint.Op {
	switch kind, taken := r.random.IntN(40), r.taken[key]; {
	case kind == 0:
		return stint.ResetOp()
	case kind < 3:
		return stint.CreditOp(1 + r.random.Int64N(3))
	case kind < 20:
		return stint.TakeOp(1 + r.random.Int64N(3))
	case kind < 28:
		return stint.UpToOp(1 + r.random.Int64N(4))
	case kind < 34 && len(taken) > 0:
		i := r.random.IntN(len(taken))
		was := taken[i]
		r.taken[key] = slices.Delete(taken, i, i+1)
		return stint.RefundOp(was.units, was.at)
	}
	return stint.LookOp(1 + r.random.Int64N(2))
}

// life is one key of the limit as the model of a history knows it.
type life struct {
	state stint.State
	reset int64 // when the key was last made new by hand: receipts from before are worth nothing
}

// modelOf is one key of the limit as porcupine takes it: the pure strategy, given the instants that the store says it read, and
// the rule that a reset voids receipts, which is the store's.
func modelOf(limit *stint.Limit) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Partition: byKey,
		Init:      func() []any { return []any{life{reset: -stint.Forever}} },
		Step: func(state, input, output any) []any {
			var next []any
			for _, l := range state.(life).after(limit, input.(call).op, output.(outcome)) {
				next = append(next, l)
			}
			return next
		},
		Equal: func(a, b any) bool {
			x, y := a.(life), b.(life)
			return x.reset == y.reset && reflect.DeepEqual(x.state, y.state)
		},
	}
	return model.ToModel()
}

// byKey parts a history into those of its keys, which have nothing to do with each other.
func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	keys := map[string][]porcupine.Operation{}
	for _, o := range history {
		keys[o.Input.(call).key] = append(keys[o.Input.(call).key], o)
	}
	var parts [][]porcupine.Operation
	for _, part := range keys {
		parts = append(parts, part)
	}
	return parts
}

// after is what the key may be like after an operation that had this outcome; nothing if it cannot have had it.
func (l life) after(limit *stint.Limit, op stint.Op, o outcome) []life {
	if o.err != nil {
		return nil
	}
	state, want := limit.Strategy.Apply(copyState(lend(l.state, limit)), limit, o.at, op)
	next := life{state, l.reset}
	switch op.Kind() {
	case stint.Clear:
		next.reset = o.at
	case stint.Refund:
		// What is left is for the next call to say.
		var may []life
		worthless := op.Wait <= l.reset || op.Wait > o.at // from before the reset, or of the future
		if worthless && o.answer.Granted == 0 {
			may = append(may, l)
		}
		// Of a take in the very tick of the reset only the store can know on which side it was.
		if (!worthless || op.Wait == l.reset) && o.answer.Granted == want.Granted {
			may = append(may, next)
		}
		return may
	}
	if differs(limit, op, o.answer, want) != "" {
		return nil
	}
	return []life{next}
}

func showHistory(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var text strings.Builder
	for _, o := range history {
		c, out := o.Input.(call), o.Output.(outcome)
		fmt.Fprintf(&text, "%4d to %4d by %d: %s %s at %d: %+v %v\n", o.Call, o.Return, o.ClientId, c.key, show(c.op), out.at-Start, out.answer, out.err)
	}
	return text.String()
}
