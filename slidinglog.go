package stint

// SlidingLog is being written.
type SlidingLog struct{}

// Name is "sliding-window-log".
func (SlidingLog) Name() string { return "sliding-window-log" }

// Words is 1.
func (SlidingLog) Words(*Limit) int { return 1 }

// Compile accepts all.
func (SlidingLog) Compile(l *Limit) error { return l.compileRate() }

// Apply is a token bucket's until the log is written.
func (SlidingLog) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	return TokenBucket{}.Apply(s, l, now, op)
}
