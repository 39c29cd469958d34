package limittest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
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
	for _, strategy := range s.Strategies {
		t.Run(strategy.Name(), func(t *testing.T) {
			for round := range *rounds {
				store, clock := s.begin(t)
				limit := s.compiled(t, stint.Limit{Units: 100, Per: time.Second, Strategy: strategy})
				history := record(store, clock, limit, uint64(round), min(s.Callers, 4))
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
				result, _ := porcupine.CheckOperationsVerbose(modelOf(limit), history, 30*time.Second)
				if result != porcupine.Ok {
					t.Fatalf("%s: round %d: the history is %s:\n%s", showLimit(limit), round, result, showHistory(history))
				}
			}
		})
	}
}

// record lets callers loose on two keys of a store, and returns what they did.
func record(store stint.Store, clock *Clock, limit *stint.Limit, seed uint64, callers int) []porcupine.Operation {
	histories := make([][]porcupine.Operation, callers)
	var order, nonce atomic.Int64
	together(callers, func(i int) {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		taken := map[string][]receipt{}
		for range 40 {
			c := call{key: fmt.Sprint("key", random.IntN(2))}
			c.op = randomOp(random, taken[c.key], seed%2 == 1)
			var o outcome
			var mark stint.Mark
			begun := order.Add(1)
			if c.op.Kind() == stint.Refund {
				taken[c.key] = nil
				o.answer, mark, o.err = store.Refund(context.Background(), limit, c.key, c.op, uint64(nonce.Add(1)))
			} else {
				o.answer, mark, o.err = store.One(context.Background(), limit, c.key, c.op)
			}
			ended := order.Add(1)
			o.at = mark.At()
			if c.op.Kind() == stint.Grant && o.answer.Granted > 0 {
				taken[c.key] = []receipt{{o.at, o.answer.Granted}}
			}
			histories[i] = append(histories[i], porcupine.Operation{ClientId: i, Input: c, Call: begun, Output: o, Return: ended})
			if random.IntN(3) == 0 {
				clock.Advance(random.Int64N(ticks(time.Second) / 40))
			}
		}
	})
	return slices.Concat(histories...)
}

// randomOp is a take, a take up to, a peek, and a refund of the last take or now and then a reset. No history holds both: that a
// reset voids receipts is the store's and not the strategy's to know, and a law of its own.
func randomOp(random *rand.Rand, taken []receipt, resets bool) stint.Op {
	switch kind := random.IntN(40); {
	case kind == 0 && resets:
		return stint.ResetOp()
	case kind < 20:
		return stint.TakeOp(1 + random.Int64N(3))
	case kind < 28:
		return stint.UpToOp(1 + random.Int64N(4))
	case kind < 32 && len(taken) > 0 && !resets:
		return stint.RefundOp(taken[0].units, taken[0].at)
	}
	return stint.LookOp(1 + random.Int64N(2))
}

// modelOf is one key of the limit as porcupine takes it: the pure strategy, given the instants that the store says it read.
func modelOf(limit *stint.Limit) porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			keys := map[string][]porcupine.Operation{}
			for _, o := range history {
				keys[o.Input.(call).key] = append(keys[o.Input.(call).key], o)
			}
			var parts [][]porcupine.Operation
			for _, part := range keys {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return stint.State{} },
		Step: func(state, input, output any) (bool, any) {
			c, o := input.(call), output.(outcome)
			if o.err != nil {
				return false, state
			}
			before := copyState(lend(state.(stint.State), limit))
			after, want := limit.Strategy.Apply(before, limit, o.at, c.op)
			if c.op.Kind() == stint.Refund {
				// A receipt of the future is worth nothing; what is left is for the next call to say.
				if o.at < c.op.Wait {
					return o.answer.Granted == 0, state
				}
				return o.answer.Granted == want.Granted, after
			}
			return differs(limit, c.op, o.answer, want) == "", after
		},
		Equal: reflect.DeepEqual,
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%s: %s = %+v", input.(call).key, show(input.(call).op), output.(outcome))
		},
	}
}

func showHistory(history []porcupine.Operation) string {
	text := ""
	for _, o := range history {
		c, out := o.Input.(call), o.Output.(outcome)
		text += fmt.Sprintf("%4d to %4d by %d: %s %s at %d: %+v %v\n", o.Call, o.Return, o.ClientId, c.key, show(c.op), out.at-Start, out.answer, out.err)
	}
	return text
}
