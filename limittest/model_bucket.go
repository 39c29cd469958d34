package limittest

import (
	"math/big"

	"github.com/stint-go/stint"
)

// bucketModel is a token bucket of capacity B and rate r, known by the instant of full. At now it lacks d = max(0, full-now)
// ticks' worth of units; n units are admitted when d + n/r <= B/r.
type bucketModel struct {
	rate, burst *big.Rat // units a tick, units
	capacity    int64
	full        *big.Rat // instant
}

func newBucketModel(l *stint.Limit) *bucketModel {
	return &bucketModel{rateOf(l), whole(l.Capacity()), l.Capacity(), new(big.Rat)}
}

func (m *bucketModel) Clone() Model { c := *m; return &c }

// missing is what the bucket lacks, in units.
func (m *bucketModel) missing(now int64) *big.Rat {
	d := after(m.full, whole(now))
	return d.Mul(d, m.rate)
}

// lack sets what the bucket lacks. One that lacks nothing is a new one.
func (m *bucketModel) lack(now int64, units *big.Rat) {
	if units.Sign() == 0 {
		m.full = new(big.Rat)
		return
	}
	m.full = new(big.Rat).Quo(units, m.rate)
	m.full.Add(m.full, whole(now))
}

// span is how long it takes to refill so many units, rounded up to a tick.
func (m *bucketModel) span(units *big.Rat) int64 {
	if units.Sign() <= 0 {
		return 0
	}
	return min(ceil(new(big.Rat).Quo(units, m.rate)), longest)
}

func (m *bucketModel) answer(now, granted int64) stint.Answer {
	missing := m.missing(now)
	return stint.Answer{Granted: granted, Remaining: floor(after(m.burst, missing)), Reset: m.span(missing)}
}

func (m *bucketModel) Apply(now int64, op stint.Op) stint.Answer {
	missing := m.missing(now)
	switch op.Kind() {
	case stint.Look:
		a := m.answer(now, 0)
		a.Wait = m.wait(op.Min, new(big.Rat).Sub(m.burst, missing))
		return a
	case stint.Grant:
		room := new(big.Rat).Sub(m.burst, missing)
		room.Add(room, new(big.Rat).Mul(m.rate, whole(op.Wait)))
		g := min(op.Max, floor(room), m.capacity)
		if g < op.Min || g <= 0 {
			a := m.answer(now, 0)
			a.Wait = m.wait(op.Min, room)
			return a
		}
		return m.charge(now, g, missing)
	case stint.Charge:
		return m.charge(now, op.Max, missing)
	case stint.Clear:
		m.full = new(big.Rat)
		return m.answer(now, min(-op.Max, floor(missing)))
	default:
		back := whole(-op.Max)
		if op.Kind() == stint.Refund {
			healed := after(whole(now), whole(op.Wait))
			back = after(back, healed.Mul(healed, m.rate))
			if missing.Cmp(m.burst) > 0 {
				back = new(big.Rat) // units are booked ahead, and none may be granted twice at one instant
			}
		}
		if back.Cmp(missing) > 0 {
			back = missing
		}
		if back.Sign() > 0 {
			m.lack(now, new(big.Rat).Sub(missing, back))
		}
		return m.answer(now, floor(back))
	}
}

func (m *bucketModel) charge(now, n int64, missing *big.Rat) stint.Answer {
	m.lack(now, new(big.Rat).Add(missing, whole(n)))
	a := m.answer(now, n)
	a.Wait = m.span(new(big.Rat).Sub(m.missing(now), m.burst))
	return a
}

// wait is how long n units wait while there is only so much room.
func (m *bucketModel) wait(n int64, room *big.Rat) int64 {
	if n > m.capacity {
		return stint.Forever
	}
	return m.span(new(big.Rat).Sub(whole(n), room))
}

// pacingModel is a leaky bucket as a queue: the backlog drains at rate r, a call waits until it is gone, and the next one
// waits for this one's cost.
type pacingModel struct {
	rate     *big.Rat
	capacity int64    // the largest cost
	gone     *big.Rat // the instant when the backlog is gone
}

func newPacingModel(l *stint.Limit) *pacingModel {
	return &pacingModel{rateOf(l), l.Capacity(), new(big.Rat)}
}

func (m *pacingModel) Clone() Model { c := *m; return &c }

func (m *pacingModel) answer(now, granted int64) stint.Answer {
	backlog := after(m.gone, whole(now))
	a := stint.Answer{Granted: granted, Reset: min(ceil(backlog), longest)}
	if backlog.Sign() == 0 {
		a.Remaining = 1
	}
	return a
}

func (m *pacingModel) Apply(now int64, op stint.Op) stint.Answer {
	backlog := after(m.gone, whole(now))
	switch op.Kind() {
	case stint.Look:
		a := m.answer(now, 0)
		a.Wait = min(ceil(backlog), longest)
		if op.Min > m.capacity {
			a.Wait = stint.Forever
		}
		return a
	case stint.Grant:
		g := min(op.Max, m.capacity)
		late := after(backlog, whole(op.Wait))
		if g >= op.Min && late.Sign() == 0 {
			return m.charge(now, g, backlog)
		}
		a := m.answer(now, 0)
		a.Wait = min(ceil(late), longest)
		if g < op.Min {
			a.Wait = stint.Forever
		}
		return a
	case stint.Charge:
		return m.charge(now, op.Max, backlog)
	case stint.Clear:
		units := new(big.Rat).Mul(backlog, m.rate)
		m.gone = new(big.Rat)
		return m.answer(now, min(-op.Max, floor(units)))
	default:
		units := new(big.Rat).Mul(backlog, m.rate)
		back := whole(-op.Max)
		if op.Kind() == stint.Refund {
			// Only in whole, and while nobody has come after: later grants were spaced by it.
			owed := after(m.gone, whole(op.Wait))
			if back.Cmp(owed.Mul(owed, m.rate)) < 0 {
				return m.answer(now, 0)
			}
			drained := after(whole(now), whole(op.Wait))
			back = after(back, drained.Mul(drained, m.rate))
		}
		if back.Cmp(units) > 0 {
			back = units
		}
		left := new(big.Rat).Sub(units, back)
		switch {
		case back.Sign() == 0:
		case left.Sign() == 0:
			m.gone = new(big.Rat)
		default:
			m.gone = left.Quo(left, m.rate)
			m.gone.Add(m.gone, whole(now))
		}
		return m.answer(now, floor(back))
	}
}

func (m *pacingModel) charge(now, n int64, backlog *big.Rat) stint.Answer {
	m.gone = new(big.Rat).Quo(whole(n), m.rate)
	m.gone.Add(m.gone, later(new(big.Rat).Add(backlog, whole(now)), whole(now)))
	a := m.answer(now, n)
	a.Wait = min(ceil(backlog), longest)
	return a
}
