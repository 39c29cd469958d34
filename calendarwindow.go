package stint

import (
	"math"
	"time"
)

// CalendarWindow counts by the calendar of a time zone, across daylight saving: its days have 23, 24 or 25 hours, its months 28
// to 31 days. The count starts anew with each of them.
//
// Choose it for quotas that people know by date, "10,000 a month". At most Units are granted in each window; across the edge of
// two, up to 2·Units in a moment. Three words of state (32 bytes a key), exact. Make a limit of it with [PerCalendarDay],
// [PerCalendarWeek] or [PerCalendarMonth]; Limit.Per says nothing here. There are no calendar years: a year is too long to be
// locked out by mistake, and a sliding window of 365 days can be had.
//
// A window begins with the first instant of its first date, which is not midnight where clocks go forward then. A key's window
// never moves back, whatever the clock does. A refund counts only in the window of its take. The zero value counts days in UTC.
type CalendarWindow struct {
	// Every is what a window is: Day, Week or Month.
	Every CalendarSpan

	// Zone is the time zone. nil means UTC. It must have a name that means the same everywhere, so time.Local is refused.
	Zone *time.Location

	// WeekEnds is the last day of a week. Sunday, the zero value, means weeks that begin on Monday.
	WeekEnds time.Weekday
}

// CalendarSpan is a span of the calendar.
type CalendarSpan uint8

// The spans of a [CalendarWindow].
const (
	Day CalendarSpan = iota
	Week
	Month
)

var calendarSpans = [...]struct {
	name string
	days int // at least
}{{"calendar-day", 1}, {"calendar-week", 7}, {"calendar-month", 28}}

// PerCalendarDay is n units on each date in the zone; nil means UTC.
func PerCalendarDay(n int64, zone *time.Location) Limit { return perCalendar(n, Day, zone) }

// PerCalendarWeek is n units in each week, from Monday to Sunday, in the zone; nil means UTC.
func PerCalendarWeek(n int64, zone *time.Location) Limit { return perCalendar(n, Week, zone) }

// PerCalendarMonth is n units in each month in the zone; nil means UTC.
func PerCalendarMonth(n int64, zone *time.Location) Limit { return perCalendar(n, Month, zone) }

func perCalendar(n int64, every CalendarSpan, zone *time.Location) Limit {
	return Limit{Units: n, Per: every.least(), Strategy: CalendarWindow{Every: every, Zone: zone}}
}

// least is the nominal length of the shortest such span.
func (c CalendarSpan) least() time.Duration {
	return time.Duration(calendarSpans[c].days) * 24 * time.Hour
}

// Name says the span, the zone, and the first day of weeks that do not begin on Monday: "calendar-month Europe/Berlin".
func (c CalendarWindow) Name() string {
	if int(c.Every) >= len(calendarSpans) {
		return "calendar-window"
	}
	name := calendarSpans[c.Every].name + " " + c.zone().String()
	if c.Every == Week && c.WeekEnds != time.Sunday {
		name += " from " + c.weekBegins().String()
	}
	return name
}

// Words is 3: the end of the window, the units used, the start of the window.
func (CalendarWindow) Words(*Limit) int { return 3 }

// Compile refuses a burst, an unknown span or day, and a zone without a name.
func (c CalendarWindow) Compile(l *Limit) error {
	switch zone := c.zone().String(); {
	case int(c.Every) >= len(calendarSpans):
		return l.errorf("calendar span %d: must be Day, Week or Month", c.Every)
	case c.WeekEnds < time.Sunday || c.WeekEnds > time.Saturday:
		return l.errorf("last day of the week %d: must be Sunday to Saturday", int(c.WeekEnds))
	case zone == "Local" || zone == "":
		return l.errorf("time zone %q: differs between machines; name one, as in time.LoadLocation(\"Europe/Berlin\")", zone)
	}
	l.Per = c.Every.least()
	l.ticks = int64(l.Per / Tick)
	l.most = math.MaxInt64
	return l.noBurst()
}

func (CalendarWindow) builtin() traits { return traits{wall: true} }

// Apply implements [Strategy].
func (c CalendarWindow) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	now = min(now, MaxInstant)
	start, end, used := s.C, s.A>>fractionBits, s.B
	if s.A <= now<<fractionBits || used <= 0 {
		used = 0
		start, end = c.window(now)
	}
	asks := op.Max >= 0
	if op.refunds() && (op.Wait < start || op.Wait >= end) {
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
	return State{A: end << fractionBits, B: after, C: start}, a
}

func (c CalendarWindow) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

func (c CalendarWindow) weekBegins() time.Weekday { return (c.WeekEnds + 1) % 7 }

// window is the window that now, in ticks, lies in.
func (c CalendarWindow) window(now int64) (start, end int64) {
	year, month, day := time.UnixMicro(now).In(c.zone()).Date()
	switch c.Every {
	case Week:
		weekday := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday()
		day -= int(weekday-c.weekBegins()+7) % 7
	case Month:
		day = 1
	}
	start = c.begins(year, month, day)
	for {
		if c.Every == Month {
			month++
		} else {
			day += calendarSpans[c.Every].days
		}
		end = c.begins(year, month, day)
		if now < end {
			return start, end
		}
		// Where clocks go back over midnight, the local date returns to the day before for a while.
		start = end
	}
}

// begins is the first instant, in ticks, of a date or, where the zone has no such date, of the next one. time.Date will not do:
// for a midnight that clocks skip it may say an instant of the day before.
func (c CalendarWindow) begins(year int, month time.Month, day int) int64 {
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix()
	// From well before midnight anywhere, through the zone's changes of offset, to the first one that reaches it.
	at := time.Unix(midnight-26*60*60, 0).In(c.zone())
	for {
		_, offset := at.Zone()
		reached := max(at.Unix(), midnight-int64(offset))
		_, change := at.ZoneBounds()
		if !change.IsZero() && !change.After(at) {
			// Of years that a zone knows by its rule alone, ZoneBounds ends the 366th day before it begins. No clock changes on it.
			change = at.Truncate(24 * time.Hour).Add(24 * time.Hour)
		}
		if change.IsZero() || reached < change.Unix() {
			return reached * int64(time.Second/Tick)
		}
		at = change
	}
}
