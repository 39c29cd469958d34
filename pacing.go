package stint

// Pacing lets calls through one after the other, spaced: each waits until the backlog is gone, and the next one waits for this
// one's cost at the limit's rate. It is the leaky bucket as a queue; [Limiter.Wait] queues, [Limiter.Allow] says yes only when
// nothing is ahead.
//
// Choose it to feed something that bears no bursts at all. A call waits for what is ahead of it and is refused if that is
// longer than it is willing to wait. In any span I of the instants of grants at most Burst + Units·I/Per are granted, where
// Burst is the largest cost (default: Units); with Burst 1 grants are Per/Units apart. Exact for every rate. One word of state
// (16 bytes a key) or three, as a [TokenBucket].
//
// A refund counts only in whole and while nobody has come after the take: later grants were spaced by it. Its instant is that
// of the grant.
type Pacing struct{}

// Name is "pacing".
func (Pacing) Name() string { return "pacing" }

// Words is 1, or 3 for a rate outside the range of one word.
func (Pacing) Words(l *Limit) int { return TokenBucket{}.Words(l) }

// Compile works out the rate. It refuses a largest cost that would take more than 2^63 ticks.
func (Pacing) Compile(l *Limit) error { return l.compileRate() }

func (Pacing) builtin() traits { return traits{ordered: true} }

// Apply implements [Strategy].
func (Pacing) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	now = min(now, MaxInstant)
	if op.Max > 0 && op.Wait == 0 && s.Forgettable(now) && !l.wide && op.Max <= l.capacity {
		// Nothing is ahead: what nearly every call finds that does not queue.
		backlog := op.Max * l.q
		return l.filledAt(now, backlog), Answer{Granted: op.Max, Reset: l.byP.up(backlog, l.p)}
	}
	backlog := l.owed(s, now)
	wait := l.lasts(backlog)
	switch {
	case op.Max > 0:
		grant, late := l.paced(op, wait)
		if grant == 0 {
			a := l.pacingAnswer(0, backlog, wait)
			a.Wait = late
			return s, a
		}
		next, reset := l.owing(now, l.owedMore(backlog, grant))
		return next, Answer{Granted: grant, Wait: wait, Reset: reset}
	case op.Max == 0:
		a := l.pacingAnswer(0, backlog, wait)
		if a.Wait = wait; op.Min > l.capacity {
			a.Wait = Forever
		}
		return s, a
	default:
		var back uint128
		if !op.refunds() || !multiplied(-op.Max, l.q).less(l.owed(s, op.Wait)) {
			back = l.owedBack(backlog, now, op)
		}
		if back.isZero() && op.Kind() != Clear {
			return s, l.pacingAnswer(0, backlog, wait)
		}
		backlog = backlog.minus(back)
		next, reset := l.owing(now, backlog)
		return next, l.pacingAnswer(back.over(l.q), backlog, reset)
	}
}

// paced is what a call is granted whose turn comes after wait, or how much too late that is.
func (l *Limit) paced(op Op, wait int64) (grant, late int64) {
	if op.Wait == Forever && l.capacity > 0 {
		return op.Max, 0
	}
	grant = min(op.Max, l.capacity)
	if grant < op.Min || grant == 0 {
		return 0, Forever
	}
	patience := min(op.Wait, maxFill)
	if patience > 0 && !l.wide {
		// What is booked ahead and the call itself have to fit in a State.
		patience = min(patience, maxFill-l.byP.up(l.full, l.p))
	}
	if wait > patience {
		return 0, wait - patience
	}
	return grant, 0
}

func (l *Limit) pacingAnswer(granted int64, backlog uint128, wait int64) Answer {
	a := Answer{Granted: granted, Reset: wait}
	if backlog.isZero() {
		a.Remaining = min(1, l.capacity)
	}
	return a
}
