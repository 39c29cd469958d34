package stint

import (
	"strings"
	"time"
)

const (
	expectSpan = `"day", "week" or "month"`
	expectZone = `a time zone of the machine's database, such as "Europe/Berlin" or "UTC"`
)

// calendar reads what follows the word calendar: a span, the day on which weeks begin, a time zone.
func (p *parser) calendar(n int64) (Limit, error) {
	before := p.at
	if p.spaces(); p.at == before && !p.skip('-') {
		return Limit{}, p.errorAt(p.at, "a space or a hyphen, and "+expectSpan)
	}
	var l Limit
	switch {
	case p.word("day"):
		l = PerCalendarDay(n, nil)
	case p.word("week"):
		l = PerCalendarWeek(n, nil)
	case p.word("month"):
		l = PerCalendarMonth(n, nil)
	default:
		return Limit{}, p.errorAt(p.at, expectSpan)
	}
	window := l.Strategy.(CalendarWindow)
	if window.Every == Week && p.word("from") {
		begins, err := p.weekday()
		if err != nil {
			return Limit{}, err
		}
		window.WeekEnds = (begins + 6) % 7
	}
	if p.word("in") {
		var err error
		if window.Zone, err = p.zone(); err != nil {
			return Limit{}, err
		}
	}
	l.Strategy = window
	return l, p.end(`"in" and a time zone, ";" or the end`)
}

func (p *parser) weekday() (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if p.word(strings.ToLower(d.String())) {
			return d, nil
		}
	}
	return 0, p.errorAt(p.at, `the first day of weeks, such as "sunday"`)
}

// zone reads a time zone. UTC is nil, as in the zero CalendarWindow. Names that mean another zone on another machine are refused.
func (p *parser) zone() (*time.Location, error) {
	start := p.at
	rest := p.text[start:]
	name := rest
	if i := strings.IndexAny(rest, " \t;"); i >= 0 {
		name = rest[:i]
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || strings.HasPrefix(strings.ToLower(name), "local") {
		return nil, &ParseError{Text: p.text, Offset: start, Found: clip(name), Expected: expectZone}
	}
	if zone == time.UTC {
		zone = nil
	}
	p.at += len(name)
	return zone, p.boundary()
}

// text is a calendar window's part of a limit's text: "calendar-week from sunday in Asia/Tokyo".
func (c CalendarWindow) text() string {
	text := calendarSpans[c.Every].name
	if c.Every == Week && c.weekBegins() != time.Monday {
		text += " from " + strings.ToLower(c.weekBegins().String())
	}
	if zone := c.zone(); zone != time.UTC {
		text += " in " + zone.String()
	}
	return text
}

// strategyNamed is the built-in strategy of that name. Names of calendar windows say all of their values.
func strategyNamed(name string) (Strategy, error) {
	switch span, rest, _ := strings.Cut(name, " "); {
	case name == unlimitedName:
		return unlimited{}, nil
	case strings.HasPrefix(span, "calendar-"):
		return calendarNamed(span, rest)
	}
	return ParseStrategy(name)
}

// calendarNamed is the inverse of [CalendarWindow.Name].
func calendarNamed(span, rest string) (Strategy, error) {
	text := "1/" + span
	zone, begins, fromDay := strings.Cut(rest, " from ")
	if fromDay {
		text += " from " + strings.ToLower(begins)
	}
	l, err := ParseLimit(text + " in " + zone)
	return l.Strategy, err
}
