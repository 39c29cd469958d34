package stint

import "math/big"

// carry is the state under the limit to of a key that had the state s under from, at now, as to.OnChange says. It is not a
// decision: it may take its time, and counts in fractions without bounds. log is fresh memory for a strategy with cells.
//
// What has to hold is that nobody gains by it, however often the limit changes there and back at one instant, and that nothing
// is carried over for longer than the new limit's own memory. So where both limits count by the same strategy what is carried
// keeps its age, as a share of the limit's period; where they do not it counts as taken now. A state that may be forgotten is a
// new key's, whatever the change.
//
// The instant is then for from and now for to: they differ where one counts by the store's clock and the other by the wall's.
func carry(from *Limit, s State, then int64, to *Limit, now int64, log *Cells) State {
	then, now = min(then, MaxInstant), min(now, MaxInstant)
	fresh := State{Log: log}
	if to.OnChange == CarryNothing || s.Forgettable(then) {
		return fresh
	}
	used := from.used(s, then)
	want := to.carried(used, from.capacity)
	if used.Sign() <= 0 || want.Sign() <= 0 {
		return fresh
	}
	switch to.Strategy.(type) {
	case TokenBucket, Pacing:
		next, _ := to.owing(now, to.partsOf(want))
		return next
	case SlidingLog, Concurrency:
		if from.hasRuns() {
			return recastRuns(from, s, to, now, roundedUp(want), fresh)
		}
	case IntervalBucket:
		if _, ok := from.Strategy.(IntervalBucket); ok {
			return recastInterval(from, s, to, now, roundedUp(want))
		}
	case SlidingCounter:
		if _, ok := from.Strategy.(SlidingCounter); ok {
			return recastCounts(from, s, to, now, want.Quo(want, used))
		}
	}
	next, _ := to.Strategy.Apply(fresh, to, now, ChargeOp(roundedUp(want)))
	return next
}

// used is the units that a key has used of the limit's capacity, more than that in debt.
func (l *Limit) used(s State, now int64) *big.Rat {
	switch l.Strategy.(type) {
	case TokenBucket, Pacing:
		return new(big.Rat).SetFrac(l.owed(s, now).big(), big.NewInt(l.q))
	case SlidingLog, Concurrency:
		var r runs
		l.readRuns(&r, s, now)
		return wholeUnits(r.sum)
	case IntervalBucket:
		_, used := l.interval(s, now)
		return wholeUnits(used)
	case SlidingCounter:
		c := l.countsAt(s, now)
		used := l.fading(c, now)
		return used.Mul(used, wholeUnits(c.last)).Add(used, wholeUnits(c.current))
	case FixedWindow:
		_, used := l.fixedWindow(s, now)
		return wholeUnits(used)
	case CalendarWindow:
		return wholeUnits(s.B)
	}
	// Somebody else's strategy, or none: what it says of itself.
	_, a := l.Strategy.Apply(s, l, now, LookOp(1))
	return wholeUnits(max(0, l.capacity-a.Remaining))
}

// carried is what a key has used under this limit that had used so much of the old capacity.
func (l *Limit) carried(used *big.Rat, old int64) *big.Rat {
	want := new(big.Rat)
	switch left := new(big.Rat).Sub(wholeUnits(old), used); l.OnChange {
	case CarryUnits:
		return want.Sub(wholeUnits(l.capacity), left)
	case CarryAdded:
		left.Add(left, wholeUnits(max(0, l.capacity-old)))
		return want.Sub(wholeUnits(l.capacity), left)
	}
	if old == 0 {
		return want // it had nothing to use
	}
	return want.Mul(used, big.NewRat(l.capacity, old))
}

// hasRuns says whether the limit's states are runs.
func (l *Limit) hasRuns() bool {
	switch l.Strategy.(type) {
	case SlidingLog, Concurrency:
		return true
	}
	return false
}

// recastRuns makes runs of want units in all out of those of from; what does not divide counts for longer rather than shorter.
func recastRuns(from *Limit, s State, to *Limit, now, want int64, next State) State {
	var old, r runs
	from.readRuns(&old, s, now)
	if cells := min(old.count+1, to.words); len(next.Log.Pairs()) < cells {
		next = growCells(next, cells)
	}
	to.readRuns(&r, next, now)
	for i, before := 0, int64(0); i < old.count; i++ {
		until := mulDiv(old.until(i+1), want, old.sum)
		if until > before {
			next = to.addRun(&r, next, recast(old.at(i), from, to, now), until-before)
		}
		before = until
	}
	return next
}

// recastInterval makes a state of want units out of one of from.
func recastInterval(from *Limit, s State, to *Limit, now, want int64) State {
	start, _ := from.interval(s, now)
	start, want = recast(start, from, to, now), min(want, to.most)
	return State{A: to.refilled(start, want) << fractionBits, B: start, C: want}
}

// recastCounts makes counts that are so many times those of from, as they fade.
func recastCounts(from *Limit, s State, to *Limit, now int64, times *big.Rat) State {
	old := from.countsAt(s, now)
	c := to.countsAt(State{}, now)
	last := from.fading(old, now)
	last.Mul(last, wholeUnits(old.last)).Mul(last, times).Quo(last, to.fading(c, now))
	c.last = min(roundedUp(last), to.most)
	c.current = min(roundedUp(times.Mul(times, wholeUnits(old.current))), to.most)
	return to.countsState(c)
}

// fading is which share of the last window's count counts.
func (l *Limit) fading(c counts, now int64) *big.Rat {
	return big.NewRat(min(c.start+l.ticks-now, l.ticks), l.ticks)
}

// recast is the instant that is as far from now, in periods of to, as the given one is in periods of from; a tick later rather
// than earlier, and no later than it is.
func recast(at int64, from, to *Limit, now int64) int64 {
	if at >= now {
		return at
	}
	return now - mulDiv(now-at, to.ticks, from.ticks)
}

// partsOf is so many units in parts, rounded up, at most what a bucket can lack.
func (l *Limit) partsOf(n *big.Rat) uint128 {
	n.Mul(n, wholeUnits(l.q))
	parts, most := ceiling(n), l.mostOwed()
	if parts.Cmp(most.big()) > 0 {
		return most
	}
	lo := new(big.Int).And(parts, new(big.Int).SetUint64(1<<64-1)).Uint64()
	return uint128{parts.Rsh(parts, 64).Uint64(), lo}
}

func (a uint128) big() *big.Int {
	n := new(big.Int).SetUint64(a.hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(a.lo))
}

func wholeUnits(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

// ceiling is x rounded up.
func ceiling(x *big.Rat) *big.Int {
	n, rest := new(big.Int).DivMod(x.Num(), x.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		n.Add(n, big.NewInt(1))
	}
	return n
}

// roundedUp is x rounded up, at most what an int64 holds.
func roundedUp(x *big.Rat) int64 {
	if n := ceiling(x); n.IsInt64() {
		return n.Int64()
	}
	return Forever
}
