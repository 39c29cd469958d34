package limittest

import (
	"math/big"

	"github.com/stint-go/stint"
)

// intervalModel is a bucket that is refilled a whole period at a time, counted from the call that found it full.
type intervalModel struct {
	period, refill, capacity int64
	anchor                   int64
	used                     *big.Int
}

func newIntervalModel(l *stint.Limit) *intervalModel {
	return &intervalModel{l.Ticks(), l.Units, l.Capacity(), 0, new(big.Int)}
}

func (m *intervalModel) Clone() Model { c := *m; return &c }

// at is the state at now: what is used, and since when the period runs.
func (m *intervalModel) at(now int64) (anchor int64, used *big.Int) {
	k := max(0, (now-m.anchor)/m.period)
	used = new(big.Int).Mul(big.NewInt(k), big.NewInt(m.refill))
	used.Sub(m.used, used)
	if used.Sign() <= 0 {
		return now, new(big.Int)
	}
	return m.anchor + k*m.period, used
}

// until is the time until so many units more than none have been refilled.
func (m *intervalModel) until(now, anchor int64, units *big.Int) int64 {
	if units.Sign() <= 0 {
		return 0
	}
	periods := ceil(new(big.Rat).SetFrac(units, big.NewInt(m.refill)))
	t := new(big.Int).Mul(big.NewInt(periods), big.NewInt(m.period))
	return min(clampInt(t.Add(t, big.NewInt(anchor-now))), longest)
}

func (m *intervalModel) room(used *big.Int) int64 {
	return clampInt(new(big.Int).Sub(big.NewInt(m.capacity), used))
}

func (m *intervalModel) answer(now, granted int64) stint.Answer {
	anchor, used := m.at(now)
	return stint.Answer{Granted: granted, Remaining: max(0, m.room(used)), Reset: m.until(now, anchor, used)}
}

func (m *intervalModel) Apply(now int64, op stint.Op) stint.Answer {
	anchor, used := m.at(now)
	switch op.Kind() {
	case stint.Look:
		a := m.answer(now, 0)
		a.Wait = m.wait(now, anchor, used, op.Min)
		return a
	case stint.Grant:
		g := min(op.Max, m.room(used))
		if g < op.Min || g <= 0 {
			a := m.answer(now, 0)
			a.Wait = m.wait(now, anchor, used, op.Min)
			return a
		}
		m.anchor, m.used = anchor, used.Add(used, big.NewInt(g))
		return m.answer(now, g)
	case stint.Charge:
		m.anchor, m.used = anchor, used.Add(used, big.NewInt(op.Max))
		return m.answer(now, op.Max)
	}
	back := big.NewInt(-op.Max)
	if op.Kind() == stint.Refund {
		// Every edge since the take has refilled a part of it.
		edges := max(0, (now-anchor)/m.period)
		if op.Wait < anchor {
			edges += (anchor - op.Wait + m.period - 1) / m.period
		}
		back.Sub(back, new(big.Int).Mul(big.NewInt(edges), big.NewInt(m.refill)))
		if back.Sign() < 0 {
			back.SetInt64(0)
		}
	}
	if back.Cmp(used) > 0 {
		back = used
	}
	if back.Sign() > 0 || op.Kind() == stint.Clear {
		m.anchor, m.used = anchor, new(big.Int).Sub(used, back)
	}
	return m.answer(now, clampInt(back))
}

func (m *intervalModel) wait(now, anchor int64, used *big.Int, n int64) int64 {
	if n > m.capacity {
		return stint.Forever
	}
	lack := new(big.Int).Add(used, big.NewInt(n))
	return m.until(now, anchor, lack.Sub(lack, big.NewInt(m.capacity)))
}
