package stint

// FixedWindow counts in windows of length Per that lie still in time, from multiples of Per since the Unix epoch: hours begin on
// the hour, in UTC. The count starts anew with each window.
//
// Choose it where windows have to begin for all keys at once, as in a quota that a bill or another system counts the same way.
// At most Units are granted in each window; across the edge of two, up to 2·Units in a moment. One word of state (16 bytes a
// key), exact.
//
// A key's window never moves back, whatever the clock does. A refund counts only in the window of its take.
type FixedWindow struct{}

// Name is "fixed-window".
func (FixedWindow) Name() string { return "fixed-window" }

// Words is 1.
func (FixedWindow) Words(*Limit) int { return 1 }

// Compile refuses a burst, a Per that is not a whole number of ticks or more than 8 years, and 2048 units a tick or more.
func (FixedWindow) Compile(l *Limit) error {
	if err := l.compileSpan(); err != nil {
		return err
	}
	l.most = l.ticks<<fractionBits - 1
	if l.Units > l.most {
		return l.errorf("%d units per %v: strategy fixed-window counts at most %d; take token-bucket for such a rate", l.Units, l.Per, l.most)
	}
	return nil
}

func (FixedWindow) builtin() traits { return traits{wall: true, ordered: true} }

// Apply implements [Strategy].
func (FixedWindow) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	now = min(now, MaxInstant)
	end, used := l.fixedWindow(s, now)
	asks := op.Max >= 0
	if op.refunds() && (op.Wait < end-l.ticks || op.Wait >= end) {
		op.Max = 0
	}
	after, granted := l.spend(used, op)
	a := l.windowAnswer(after, granted, end-now)
	switch {
	case after == used && op.Kind() != Clear:
		if asks && granted == 0 {
			a.Wait = l.windowWait(used, op.Min, end-now)
		}
		return s, a
	case after == 0:
		return State{}, a
	}
	return State{A: end<<fractionBits + after}, a
}

// fixedWindow is the end of the key's window and what is used in it. A State.A is end<<fractionBits and the units used, which
// are fewer than a window's length in the same measure.
func (l *Limit) fixedWindow(s State, now int64) (end, used int64) {
	end = (l.byTicks.of(now) + 1) * l.ticks
	used = s.A - end<<fractionBits
	switch {
	case used <= 0:
		return end, 0
	case used > l.most: // the clock stepped back: the key stays in its window
		end = l.byTicks.of(s.A>>fractionBits) * l.ticks
		used = s.A - end<<fractionBits
	}
	return end, used
}

// windowAnswer is the answer of strategies that count in windows, of which the current one has so much time left.
func (l *Limit) windowAnswer(used, granted, left int64) Answer {
	a := Answer{Granted: granted, Remaining: max(0, l.capacity-used)}
	if used > 0 {
		a.Reset = left
	}
	return a
}

// windowWait is how long n units wait in such a window.
func (l *Limit) windowWait(used, n, left int64) int64 {
	switch lack, ever := l.lacks(used, n); {
	case !ever:
		return Forever
	case lack == 0:
		return 0
	}
	return left
}
