package limittest

import (
	"math"
	"sort"
	"time"

	"github.com/stint-go/stint"
)

// windowModel counts in windows that lie still in time: at most N in each. A key's window only moves forward.
type windowModel struct {
	capacity   int64
	window     func(now int64) (start, end int64)
	start, end int64
	used       int64
}

func newWindowModel(l *stint.Limit) *windowModel {
	return &windowModel{capacity: l.Capacity(), window: windowOf(l)}
}

func (m *windowModel) Clone() Model { c := *m; return &c }

// at is the window that counts at now.
func (m *windowModel) at(now int64) (start, end, used int64) {
	start, end = m.window(now)
	if m.used > 0 && m.start >= start {
		return m.start, m.end, m.used
	}
	return start, end, 0
}

func (m *windowModel) answer(now, granted int64) stint.Answer {
	_, end, used := m.at(now)
	a := stint.Answer{Granted: granted, Remaining: max(0, m.capacity-used)}
	if used > 0 {
		a.Reset = end - now
	}
	return a
}

func (m *windowModel) Apply(now int64, op stint.Op) stint.Answer {
	start, end, used := m.at(now)
	switch op.Kind() {
	case stint.Look:
		a := m.answer(now, 0)
		a.Wait = m.wait(now, end, used, op.Min)
		return a
	case stint.Grant:
		g := min(op.Max, m.capacity-used)
		if g < op.Min || g <= 0 {
			a := m.answer(now, 0)
			a.Wait = m.wait(now, end, used, op.Min)
			return a
		}
		m.start, m.end, m.used = start, end, used+g
		return m.answer(now, g)
	case stint.Charge:
		m.start, m.end, m.used = start, end, used+min(op.Max, math.MaxInt64-used)
		return m.answer(now, op.Max)
	}
	back := min(-op.Max, used)
	if op.Kind() == stint.Refund {
		if taken, _ := m.window(op.Wait); taken != start {
			back = 0
		}
	}
	if back > 0 || op.Kind() == stint.Clear {
		m.start, m.end, m.used = start, end, used-back
	}
	return m.answer(now, back)
}

func (m *windowModel) wait(now, end, used, n int64) int64 {
	switch {
	case n > m.capacity:
		return stint.Forever
	case n <= m.capacity-used:
		return 0
	}
	return end - now
}

// windowOf is how the limit's strategy divides time.
func windowOf(l *stint.Limit) func(now int64) (start, end int64) {
	if c, ok := l.Strategy.(stint.CalendarWindow); ok {
		var start, end int64 // of the last answer, which is often the next one
		return func(now int64) (int64, int64) {
			if now < start || now >= end {
				start, end = calendarWindow(c, now)
			}
			return start, end
		}
	}
	p := l.Ticks()
	return func(now int64) (start, end int64) { return now - now%p, now - now%p + p }
}

// calendarWindow is the window of the calendar that now lies in.
func calendarWindow(c stint.CalendarWindow, now int64) (start, end int64) {
	zone := c.Zone
	if zone == nil {
		zone = time.UTC
	}
	// Of the windows that begin around now, the last one that has begun.
	y, m, d := time.UnixMicro(now).In(zone).Date()
	for i := 2; ; i-- {
		switch c.Every {
		case stint.Day:
			start, end = firstInstant(y, m, d+i, zone), firstInstant(y, m, d+i+1, zone)
		case stint.Week:
			weekday := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Weekday()
			first := d - int(weekday-c.WeekEnds-1+14)%7 + 7*i
			start, end = firstInstant(y, m, first, zone), firstInstant(y, m, first+7, zone)
		case stint.Month:
			start, end = firstInstant(y, m+time.Month(i), 1, zone), firstInstant(y, m+time.Month(i)+1, 1, zone)
		}
		if start <= now && start < end {
			return start, end
		}
	}
}

// firstInstant is the first instant at which the local date is the given one or later: what midnight means where midnight
// happens twice or not at all. It is found by search, since the first instant of a date comes before those of all later ones.
func firstInstant(y int, m time.Month, d int, zone *time.Location) int64 {
	want := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	from := want.Add(-36 * time.Hour)
	seconds := sort.Search(72*3600, func(s int) bool {
		y, m, d := from.Add(time.Duration(s) * time.Second).In(zone).Date()
		return !time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(want)
	})
	return from.Add(time.Duration(seconds) * time.Second).UnixMicro()
}
