package stint

// SlidingLog counts each unit for exactly Per from the instant at which it was taken, and never lets more than Units count at
// once. It remembers every take that still counts, those at the same instant as one.
//
// Choose it, or say nothing, to mean "100 per hour" as everybody reads it: it is the default where no burst is named. In every
// half-open span [x, x+Per) a key is granted at most Units, wherever the span begins. Exact to the tick for Units up to 1024;
// above that, takes closer than Per/1023 count as one at the later instant, which refuses for less than 0.1 % of Per too long
// and never admits too much. State: 32 bytes in a table, and a ring of its own of 16
// bytes for each remembered take, at most 1032 of them, from 64 bytes up by doubling.
//
// A refund takes the units out of the log again while they count; a credit removes those that would count longest.
type SlidingLog struct{}

// Name is "sliding-window-log".
func (SlidingLog) Name() string { return "sliding-window-log" }

// Words is a cell for each take that can count at once, and a free one.
func (SlidingLog) Words(l *Limit) int { return l.runWords() }

// Compile refuses a burst, and a Per that is not a whole number of ticks or more than 17 years.
func (SlidingLog) Compile(l *Limit) error { return l.compileRuns() }

func (SlidingLog) builtin() traits { return traits{} }

// Apply implements [Strategy].
func (SlidingLog) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	return l.applyRuns(s, now, op)
}
