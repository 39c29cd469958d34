package stint

import (
	"errors"
	"math/rand/v2"
	"sort"
	"testing"
	"time"
	_ "time/tzdata"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// firstOf finds the first second at which the local date is the given one or later, by walking there.
func firstOf(date time.Time, zone *time.Location) time.Time {
	reached := func(at time.Time) bool {
		y, m, d := at.In(zone).Date()
		return !time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(date)
	}
	// By quarters of an hour, since a date may be reached for a minute only before clocks go back; then by seconds.
	const step = 900
	at := date.Add(-30 * time.Hour)
	for !reached(at.Add(step * time.Second)) {
		at = at.Add(step * time.Second)
	}
	return at.Add(time.Duration(sort.Search(step, func(s int) bool { return reached(at.Add(time.Duration(s) * time.Second)) })) * time.Second)
}

// calendarReference is the window of now by walking over dates.
func calendarReference(c CalendarWindow) func(now int64) (start, end int64) {
	begins := func(d time.Time) bool {
		switch c.Every {
		case Week:
			return d.Weekday() == (c.WeekEnds+1)%7
		case Month:
			return d.Day() == 1
		}
		return true
	}
	var start, end int64
	return func(now int64) (int64, int64) {
		if start <= now && now < end {
			return start, end
		}
		z := c.zone()
		y, m, d := time.UnixMicro(now).In(z).Date()
		date := time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		for !begins(date) || firstOf(date, z).UnixMicro() > now {
			date = date.AddDate(0, 0, -1)
		}
		start = firstOf(date, z).UnixMicro()
		for date = date.AddDate(0, 0, 1); !begins(date) || firstOf(date, z).UnixMicro() <= now; {
			date = date.AddDate(0, 0, 1)
		}
		end = firstOf(date, z).UnixMicro()
		return start, end
	}
}

func TestCalendarWindow(t *testing.T) {
	berlin, havana := zone(t, "Europe/Berlin"), zone(t, "America/Havana")
	limits := []Limit{
		PerCalendarDay(10, nil),
		PerCalendarDay(10, havana),
		PerCalendarWeek(100, berlin),
		PerCalendarMonth(1000, berlin),
	}
	runTraces(t, limits, func(l *Limit) reference {
		return newWindowReference(l.Units, calendarReference(l.Strategy.(CalendarWindow)))
	})
}

// The windows of ten years in zones that do all that zones do.
func TestCalendarWindowBoundaries(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{
		"UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Pacific/Apia", "America/Sao_Paulo", "America/St_Johns",
		"Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Tehran", "Pacific/Kiritimati", "America/Asuncion",
	} {
		for _, every := range []CalendarSpan{Day, Week, Month} {
			c := CalendarWindow{Every: every, Zone: zone(t, name), WeekEnds: time.Weekday(random.IntN(7))}
			window := calendarReference(c)
			now := time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
			// The windows follow on each other without a gap, and each holds its instants.
			_, next := c.window(now)
			for range 60 {
				now = next
				start, end := c.window(now)
				if start != now || end <= start {
					t.Fatalf("%s: window %v to %v at its start %v", c.Name(), start, end, now)
				}
				next = end
				for _, at := range []int64{start, end - 1, start + random.Int64N(end-start)} {
					if s, e := c.window(at); s != start || e != end {
						t.Fatalf("%s: at %v window %v to %v, want %v to %v", c.Name(), at, s, e, start, end)
					}
				}
				if s, e := window(now); s != start || e != end {
					t.Fatalf("%s: at %v window %v to %v, want %v to %v", c.Name(), time.UnixMicro(now).In(c.Zone), time.UnixMicro(start).In(c.Zone),
						time.UnixMicro(end).In(c.Zone), time.UnixMicro(s).In(c.Zone), time.UnixMicro(e).In(c.Zone))
				}
				// On to another month.
				_, next = c.window(next + random.Int64N(int64(60*24*time.Hour/Tick)))
			}
		}
	}
}

func TestCalendarWindowDays(t *testing.T) {
	for _, c := range []struct {
		every           CalendarSpan
		zone            string
		ends            time.Weekday
		at, start, long string
		why             string
	}{
		{Day, "UTC", 0, "2026-03-29T12:00:00Z", "2026-03-29T00:00:00Z", "24h", "a plain day"},
		{Day, "Europe/Berlin", 0, "2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00", "23h", "clocks go forward"},
		{Day, "Europe/Berlin", 0, "2026-10-25T12:00:00+01:00", "2026-10-25T00:00:00+02:00", "25h", "clocks go back"},
		{Day, "America/Havana", 0, "2025-03-09T12:00:00-04:00", "2025-03-09T01:00:00-04:00", "23h", "midnight is skipped"},
		{Day, "America/Havana", 0, "2025-03-08T12:00:00-05:00", "2025-03-08T00:00:00-05:00", "24h", "and the day before is whole"},
		{Day, "America/Havana", 0, "2025-11-02T12:00:00-05:00", "2025-11-02T00:00:00-04:00", "25h", "midnight comes twice: the first counts"},
		{Day, "Pacific/Apia", 0, "2011-12-29T12:00:00-10:00", "2011-12-29T00:00:00-10:00", "24h", "before a date that was skipped"},
		{Day, "Pacific/Apia", 0, "2011-12-31T12:00:00+14:00", "2011-12-31T00:00:00+14:00", "24h", "and after it"},
		{Day, "America/St_Johns", 0, "2010-11-06T23:30:00-03:30", "2010-11-07T00:00:00-02:30", "25h", "the date returns for 59 minutes: the window does not"},
		{Week, "Europe/Berlin", 0, "2026-03-29T12:00:00+02:00", "2026-03-23T00:00:00+01:00", "167h", "from Monday"},
		{Week, "Europe/Berlin", time.Saturday, "2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00", "167h", "from Sunday"},
		{Week, "Asia/Dubai", time.Friday, "2026-03-29T12:00:00+04:00", "2026-03-28T00:00:00+04:00", "168h", "from Saturday"},
		{Month, "Europe/Berlin", 0, "2026-03-31T23:59:59+02:00", "2026-03-01T00:00:00+01:00", "743h", "31 days and an hour less"},
		{Month, "UTC", 0, "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "696h", "a leap year"},
		{Month, "UTC", 0, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "744h", "the end of a year"},
	} {
		parse := func(text string) int64 {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Fatal(err)
			}
			return at.UnixMicro()
		}
		w := CalendarWindow{Every: c.every, Zone: zone(t, c.zone), WeekEnds: c.ends}
		start, end := w.window(parse(c.at))
		long := time.Duration(end-start) * Tick
		if want, _ := time.ParseDuration(c.long); start != parse(c.start) || long != want {
			t.Errorf("%s, %s at %s: from %v for %v", c.why, w.Name(), c.at, time.UnixMicro(start).In(w.Zone).Format(time.RFC3339), long)
		}
	}
}

// The last day of a leap year, in zones of which only the rule is known by then: there time.Time.ZoneBounds stands still.
func TestCalendarWindowEndsOfLeapYears(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"} {
		for _, every := range []CalendarSpan{Day, Week, Month} {
			c := CalendarWindow{Every: every, Zone: zone(t, name)}
			reference := calendarReference(c)
			for _, year := range []int{2028, 2040, 2072} {
				for hour := -2 * 24; hour <= 2*24; hour += 5 {
					now := time.Date(year, time.December, 31, hour, 0, 0, 0, time.UTC).UnixMicro()
					start, end := c.window(now)
					if wantStart, wantEnd := reference(now); start != wantStart || end != wantEnd {
						t.Fatalf("%s at %v: %d to %d, want %d to %d", c.Name(), time.UnixMicro(now).UTC(), start, end, wantStart, wantEnd)
					}
				}
			}
		}
	}
}

func TestCalendarWindowClockJumps(t *testing.T) {
	l, err := PerCalendarMonth(5, zone(t, "Europe/Berlin")).Compile()
	if err != nil {
		t.Fatal(err)
	}
	const decade = int64(10 * 365 * 24 * time.Hour / Tick)
	s, _ := l.Strategy.Apply(State{}, l, traceStart, TakeOp(5))
	if _, a := l.Strategy.Apply(s, l, traceStart-decade, TakeOp(1)); a.Granted != 0 || a.Wait < decade {
		t.Errorf("ten years back: %+v", a)
	}
	if _, a := l.Strategy.Apply(s, l, traceStart+decade, TakeOp(5)); a.Granted != 5 {
		t.Errorf("ten years ahead: %+v", a)
	}
}

func TestCalendarWindowNames(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for name, c := range map[string]CalendarWindow{
		"calendar-day UTC":                          {},
		"calendar-month Europe/Berlin":              {Every: Month, Zone: berlin},
		"calendar-week Europe/Berlin":               {Every: Week, Zone: berlin},
		"calendar-week Europe/Berlin from Sunday":   {Every: Week, Zone: berlin, WeekEnds: time.Saturday},
		"calendar-week Europe/Berlin from Saturday": {Every: Week, Zone: berlin, WeekEnds: time.Friday},
	} {
		if c.Name() != name {
			t.Errorf("%q, want %q", c.Name(), name)
		}
	}
}

func TestCalendarWindowRefusedLimits(t *testing.T) {
	for _, l := range []Limit{
		PerCalendarDay(10, time.Local),
		PerCalendarDay(10, time.FixedZone("", 3600)),
		PerCalendarDay(10, nil).WithBurst(20),
		PerDay(10).WithStrategy(CalendarWindow{Every: 3}),
		PerDay(10).WithStrategy(CalendarWindow{WeekEnds: 7}),
	} {
		_, err := l.Compile()
		if refused := new(LimitError); !errors.As(err, &refused) {
			t.Errorf("%v: %v", l.Strategy, err)
		}
	}
}
