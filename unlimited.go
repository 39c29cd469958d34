package stint

import "math"

// Unlimited is a limit that admits every call and counts none. In texts it is the word unlimited.
//
// Choose it where a limit has to be named and there is none, as for a plan. It promises nothing and keeps no state.
func Unlimited() Limit { return Limit{Units: math.MaxInt64, Per: Tick, Strategy: unlimited{}} }

type unlimited struct{}

// unlimitedName is the strategy's name and the limit's text.
const unlimitedName = "unlimited"

func (unlimited) Name() string     { return unlimitedName }
func (unlimited) Words(*Limit) int { return 1 }

func (unlimited) Compile(l *Limit) error {
	l.capacity = math.MaxInt64
	return nil
}

func (unlimited) builtin() traits { return traits{ordered: true} }

func (unlimited) Apply(s State, _ *Limit, _ int64, op Op) (State, Answer) {
	return s, Answer{Granted: max(op.Max, 0), Remaining: math.MaxInt64}
}
