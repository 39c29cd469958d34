package limittest

import (
	"math/big"
	"slices"

	"github.com/stint-go/stint"
)

// logModel keeps every grant with its instant: at most N units in any half-open span of the window's length. Time never goes
// behind the last instant written. Concurrency is the same: a slot taken at t is held until it is given back, or until t plus
// the span.
type logModel struct {
	capacity, period int64
	runs             []run // oldest first
}

type run struct{ at, units int64 }

func newLogModel(l *stint.Limit) *logModel {
	return &logModel{capacity: l.Capacity(), period: l.Ticks()}
}

func (m *logModel) Clone() Model {
	c := *m
	c.runs = slices.Clone(m.runs)
	return &c
}

// live is what still counts at now, and the instant that counts as now.
func (m *logModel) live(now int64) ([]run, int64) {
	at := now
	for _, r := range m.runs {
		at = max(at, r.at)
	}
	var live []run
	for _, r := range m.runs {
		if r.at > at-m.period && r.units > 0 {
			live = append(live, r)
		}
	}
	return live, at
}

func sum(runs []run) *big.Int {
	total := new(big.Int)
	for _, r := range runs {
		total.Add(total, big.NewInt(r.units))
	}
	return total
}

func (m *logModel) room(runs []run) int64 {
	return clampInt(new(big.Int).Sub(big.NewInt(m.capacity), sum(runs)))
}

func (m *logModel) answer(now, granted int64) stint.Answer {
	runs, _ := m.live(now)
	a := stint.Answer{Granted: granted, Remaining: max(0, m.room(runs))}
	if len(runs) > 0 {
		a.Reset = runs[len(runs)-1].at + m.period - now
	}
	return a
}

func (m *logModel) Apply(now int64, op stint.Op) stint.Answer {
	runs, at := m.live(now)
	switch op.Kind() {
	case stint.Look:
		a := m.answer(now, 0)
		a.Wait = m.wait(now, runs, op.Min)
		return a
	case stint.Grant:
		g := min(op.Max, m.room(runs))
		if g < op.Min || g <= 0 {
			a := m.answer(now, 0)
			a.Wait = m.wait(now, runs, op.Min)
			return a
		}
		m.runs = append(runs, run{at, g})
		return m.answer(now, g)
	case stint.Charge:
		m.runs = append(runs, run{at, op.Max})
		return m.answer(now, op.Max)
	case stint.Clear:
		back := clampInt(sum(runs))
		m.runs = nil
		return m.answer(now, back)
	}
	// A refund takes from the runs of its own instant, a gift from the newest first.
	left := -op.Max
	for i := len(runs) - 1; i >= 0 && left > 0; i-- {
		if op.Kind() == stint.Refund && runs[i].at != op.Wait {
			continue
		}
		back := min(left, runs[i].units)
		runs[i].units -= back
		left -= back
	}
	if left < -op.Max {
		m.runs = slices.DeleteFunc(runs, func(r run) bool { return r.units == 0 })
	}
	return m.answer(now, -op.Max-left)
}

// wait is the time until so many of the oldest have left that n fit.
func (m *logModel) wait(now int64, runs []run, n int64) int64 {
	if n > m.capacity {
		return stint.Forever
	}
	wait := int64(0)
	for m.room(runs) < n {
		wait = runs[0].at + m.period - now
		runs = runs[1:]
	}
	return wait
}
