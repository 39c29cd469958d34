package stint

import (
	"errors"
	"strconv"
	"strings"
)

// ParseLimit reads a limit from a text:
//
//	100/hour                   100 in any hour
//	100 per hour               the same
//	10/s burst 20              a token bucket: 20 at once, 10 more each second
//	5/1m30s, 1 per 3 hours     any span of time; 100/10 is 100 in 10 seconds
//	100/hour interval-bucket   counted by a strategy of that name, see [ParseStrategy]
//	100 per calendar month     by the calendar, in UTC; also 100/calendar-day, 100/calendar-week
//	100/calendar-week from sunday in America/New_York
//	0/min                      nothing at all
//	unlimited                  everything
//
// Units of time are s, sec, second(s); m, min, minute(s); h, hr, hour(s); d, day(s); ms; us or µs; ns. A day is 24 hours.
// Weeks, months and years have no fixed length and are refused but for the calendar's.
//
// The text is read strictly: lower case, whole numbers in plain digits, nothing left over. Use it for every text from outside.
// The error is a [*ParseError], also for a limit that [Limit.Compile] refuses, so what is read can be used. [Limit.String] is
// the way back.
func ParseLimit(text string) (Limit, error) {
	p := parser{text: text}
	if err := p.tooLong(); err != nil {
		return Limit{}, err
	}
	p.spaces()
	l, err := p.limit()
	if err == nil && !p.done() {
		err = p.errorAt(p.at, "one limit and then the end")
	}
	if err != nil {
		return Limit{}, err
	}
	return l, nil
}

// ParseLimits reads one or more limits joined by ";", each as [ParseLimit] does: "10/s; 1000/day".
func ParseLimits(text string) ([]Limit, error) {
	p := parser{text: text}
	if err := p.tooLong(); err != nil {
		return nil, err
	}
	var limits []Limit
	for {
		p.spaces()
		l, err := p.limit()
		if err != nil {
			return nil, err
		}
		limits = append(limits, l)
		if p.done() {
			return limits, nil
		}
		p.at++ // the semicolon
	}
}

// ParseStrategy is the built-in strategy of that name. The error is a [*ParseError] that names them all.
func ParseStrategy(name string) (Strategy, error) {
	p := parser{text: name}
	if err := p.tooLong(); err != nil {
		return nil, err
	}
	for _, s := range named {
		if s.Name() == name {
			return s, nil
		}
	}
	return nil, p.errorAt(0, expectStrategy())
}

// named are the strategies that texts can name.
var named = [...]Strategy{
	TokenBucket{}, SlidingLog{}, SlidingCounter{}, FixedWindow{}, IntervalBucket{}, Pacing{}, Concurrency{},
}

func expectStrategy() string {
	names := make([]string, len(named))
	for i, s := range named {
		names[i] = s.Name()
	}
	return "a strategy (" + strings.Join(names, ", ") + ")"
}

// String is the limit as [ParseLimit] reads it, in the shortest form: "100/hour", "10/s burst 20", "5/1m30s",
// "100/hour interval-bucket". The strategy is left out where it is the default. ID and OnChange are not part of the text. What
// ParseLimit does not know, a strategy of your own or a time zone that has no entry in the database, is said by its name.
func (l Limit) String() string {
	units := strconv.FormatInt(l.Units, 10) + "/"
	switch s := l.Strategy.(type) {
	case unlimited:
		return unlimitedName
	case CalendarWindow:
		if int(s.Every) < len(calendarSpans) {
			return units + s.text()
		}
	}
	text := units + periodText(l.Per)
	if l.Burst != 0 {
		text += " burst " + strconv.FormatInt(l.Burst, 10)
	}
	if l.Strategy != nil && l.Strategy.Name() != defaultStrategy(l.Burst).Name() {
		text += " " + l.Strategy.Name()
	}
	return text
}

const (
	expectLimit = `a limit, such as "100/hour", "10/s burst 20" or "unlimited"`
	expectPer   = `"/" or " per " and a span of time`
)

// limit reads one limit and the spaces after it, up to a semicolon or the end.
func (p *parser) limit() (Limit, error) {
	start := p.at
	l, err := p.rate()
	if err != nil {
		return Limit{}, err
	}
	var refused *LimitError
	if _, err := l.Compile(); errors.As(err, &refused) {
		found := strings.TrimRight(p.text[start:p.at], " \t")
		return Limit{}, &ParseError{Text: p.text, Offset: start, Found: clip(found), Expected: "another limit: " + refused.Reason}
	}
	return l, nil
}

func (p *parser) rate() (l Limit, err error) {
	if p.word(unlimitedName) {
		return Unlimited(), p.end(expectEnd)
	}
	if !p.digitNext() {
		return l, p.errorAt(p.at, expectLimit)
	}
	if l.Units, err = p.number(); err != nil {
		return l, err
	}
	if err = p.per(); err != nil {
		return l, err
	}
	if strings.HasPrefix(p.text[p.at:], "calendar") {
		p.at += len("calendar")
		return p.calendar(l.Units)
	}
	if l.Per, err = p.period(); err != nil {
		return l, err
	}
	if err = p.boundary(); err != nil {
		return l, err
	}
	if p.word("burst") {
		if l.Burst, err = p.burst(); err != nil {
			return l, err
		}
	}
	for _, s := range named {
		if p.word(s.Name()) {
			l.Strategy = s
			break
		}
	}
	if p.over() {
		return l, nil
	}
	return l, p.errorAt(p.at, `"burst" and a number, `+expectStrategy()+`, ";" or the end`)
}

// per reads what stands between the units and their span of time.
func (p *parser) per() error {
	before := p.at
	p.spaces()
	if p.skip('/') {
		p.spaces()
		return nil
	}
	if p.at > before && p.word("per") {
		return nil
	}
	return p.errorAt(p.at, expectPer)
}

// burst reads the number after the word.
func (p *parser) burst() (int64, error) {
	start := p.at
	if !p.digitNext() {
		return 0, p.errorAt(start, "a number, the most that is granted at once")
	}
	n, err := p.number()
	if err == nil && n == 0 {
		err = p.errorAt(start, "a burst of 1 or more")
	}
	if err != nil {
		return 0, err
	}
	return n, p.boundary()
}
