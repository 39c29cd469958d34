package limittest

import (
	"math/big"

	"github.com/stint-go/stint"
)

// counterModel is the sliding window counter: what the last window held fades evenly while this one fills.
type counterModel struct {
	capacity, period int64
	start            int64
	prev, cur        int64
}

func newCounterModel(l *stint.Limit) *counterModel {
	return &counterModel{capacity: l.Capacity(), period: l.Ticks()}
}

func (m *counterModel) Clone() Model { c := *m; return &c }

// at moves the two cells to now.
func (m *counterModel) at(now int64) counterModel {
	c := *m
	start := now - now%m.period
	switch {
	case c.prev == 0 && c.cur == 0, start > c.start+m.period:
		c.start, c.prev, c.cur = start, 0, 0
	case start == c.start+m.period:
		c.start, c.prev, c.cur = start, c.cur, 0
	}
	return c
}

// estimate is the count at now: cur + floor(prev * (period - elapsed) / period).
func (m *counterModel) estimate(now int64) *big.Int {
	c := m.at(now)
	elapsed := max(0, now-c.start)
	faded := new(big.Int).Mul(big.NewInt(c.prev), big.NewInt(m.period-elapsed))
	faded.Div(faded, big.NewInt(m.period))
	return faded.Add(faded, big.NewInt(c.cur))
}

// until is the first instant, as a time from now, at which the estimate is at most the given one. The estimate never rises by
// itself, so it can be searched for.
func (m *counterModel) until(now, estimate int64) int64 {
	c := m.at(now)
	want := big.NewInt(estimate)
	none, some := int64(-1), c.start-now+2*m.period // not sort.Search, since an int may have 32 bits
	for some-none > 1 {
		t := none + (some-none)/2
		if m.estimate(now+t).Cmp(want) <= 0 {
			some = t
		} else {
			none = t
		}
	}
	return some
}

func (m *counterModel) room(now int64) int64 {
	return clampInt(new(big.Int).Sub(big.NewInt(m.capacity), m.estimate(now)))
}

func (m *counterModel) answer(now, granted int64) stint.Answer {
	return stint.Answer{Granted: granted, Remaining: max(0, m.room(now)), Reset: m.until(now, 0)}
}

func (m *counterModel) Apply(now int64, op stint.Op) stint.Answer {
	switch op.Kind() {
	case stint.Look:
		a := m.answer(now, 0)
		a.Wait = m.wait(now, op.Min)
		return a
	case stint.Grant:
		g := min(op.Max, m.room(now))
		if g < op.Min || g <= 0 {
			a := m.answer(now, 0)
			a.Wait = m.wait(now, op.Min)
			return a
		}
		*m = m.at(now)
		m.cur += g
		return m.answer(now, g)
	case stint.Charge:
		*m = m.at(now)
		m.cur += op.Max
		return m.answer(now, op.Max)
	case stint.Clear:
		back := clampInt(m.estimate(now))
		m.prev, m.cur = 0, 0
		return m.answer(now, back)
	}
	c := m.at(now)
	back := min(-op.Max, clampInt(m.estimate(now)))
	if op.Kind() == stint.Refund {
		back = min(back, c.cur)
		if op.Wait-op.Wait%m.period != c.start {
			back = 0
		}
	}
	if back > 0 {
		c.giveBack(now, back)
		*m = c
	}
	return m.answer(now, back)
}

// giveBack takes units out of this window first, and out of the last one what the rest is worth there by now. All that counts
// is a new key.
func (m *counterModel) giveBack(now, units int64) {
	if m.estimate(now).Cmp(big.NewInt(units)) == 0 {
		m.prev, m.cur = 0, 0
		return
	}
	fromCur := min(units, m.cur)
	m.cur -= fromCur
	if rest := units - fromCur; rest > 0 {
		left := m.period - max(0, now-m.start)
		worth := new(big.Int).Mul(big.NewInt(rest), big.NewInt(m.period))
		m.prev -= min(m.prev, clampInt(worth.Div(worth, big.NewInt(left))))
	}
}

func (m *counterModel) wait(now, n int64) int64 {
	if n > m.capacity {
		return stint.Forever
	}
	return m.until(now, m.capacity-n)
}
