package limittest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
)

// cooldown is a strategy of one's own: after each call a key rests for Per, whatever the call cost.
type cooldown struct{}

func (cooldown) Name() string           { return "cooldown" }
func (cooldown) Words(*stint.Limit) int { return 1 }

func (cooldown) Compile(l *stint.Limit) error {
	if l.Ticks() == 0 {
		return &stint.LimitError{ID: l.ID, Reason: "a cooldown needs a period of whole microseconds"}
	}
	return nil
}

func (cooldown) Apply(s stint.State, l *stint.Limit, now int64, op stint.Op) (stint.State, stint.Answer) {
	rests := max(0, s.A>>11-now)
	left := func(rests int64) stint.Answer {
		a := stint.Answer{Reset: rests}
		if rests == 0 {
			a.Remaining = min(1, l.Capacity())
		}
		return a
	}
	n := min(op.Max, l.Capacity())
	switch kind := op.Kind(); {
	case kind == stint.Charge, kind == stint.Grant && rests == 0 && n >= op.Min:
		if kind == stint.Charge {
			n = op.Max
		}
		rests = max(rests, l.Ticks())
		a := left(rests)
		a.Granted = n
		return stint.State{A: (now + rests) << 11}, a
	case kind == stint.Clear, kind == stint.Credit:
		return stint.State{}, left(0)
	case kind == stint.Refund:
		return s, left(rests) // a rest is a rest
	}
	a := left(rests)
	a.Wait = rests
	if op.Min > l.Capacity() {
		a.Wait = stint.Forever
	}
	return s, a
}

// Holding a strategy of one's own to the laws.
func ExampleStrategy() {
	testStrategy := func(t *testing.T) { limittest.Strategy(t, cooldown{}) }
	_ = testStrategy // in a real test file: func TestCooldown(t *testing.T)
	// Output:
}

func TestOwnStrategy(t *testing.T) { limittest.Strategy(t, cooldown{}) }

// A strategy of one's own on the memory store.
func TestOwnStrategyOnMemory(t *testing.T) {
	o := limittest.StoreOptions{Strategies: []stint.Strategy{stint.TokenBucket{}, stint.SlidingLog{}, cooldown{}}}
	limittest.StoreWith(t, o, openMemory)
}

// A clock that moves only when it is told to.
func ExampleClock() {
	clock := new(limittest.Clock)
	store, err := stint.NewMemory(stint.MemoryOptions{Clock: clock.Now})
	if err != nil {
		panic(err)
	}
	l, err := stint.NewWith(stint.Options{Store: store}, stint.PerMinute(1))
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Allow("alice"), l.Allow("alice"))
	clock.Advance(int64(time.Minute / stint.Tick))
	fmt.Println(l.Allow("alice"))
	// Output:
	// true false
	// true
}
