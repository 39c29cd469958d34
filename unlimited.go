package stint

import "math"

// Unlimited is a limit that admits every call and counts none. In texts it is the word unlimited.
func Unlimited() Limit { return Limit{Units: math.MaxInt64, Per: Tick, Strategy: unlimited{}} }

type unlimited struct{}

func (unlimited) Name() string         { return unlimitedName }
func (unlimited) Words(*Limit) int     { return 1 }
func (unlimited) Compile(*Limit) error { return nil }

func (unlimited) builtin() traits { return traits{ordered: true} }

func (unlimited) Apply(s State, l *Limit, _ int64, op Op) (State, Answer) {
	return s, Answer{Granted: max(op.Max, 0), Remaining: l.capacity}
}

const unlimitedName = "unlimited"
