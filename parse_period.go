package stint

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// day is 24 hours. Days by the calendar, which may have 23 or 25, are another thing.
const day = 24 * time.Hour

// unit is a unit of time as texts name it. Of the names of one length the first is the one that is printed.
type unit struct {
	name   string
	length time.Duration
}

var units = [...]unit{
	{"day", day}, {"days", day}, {"d", day},
	{"hour", time.Hour}, {"hours", time.Hour}, {"hr", time.Hour}, {"h", time.Hour},
	{"min", time.Minute}, {"minute", time.Minute}, {"minutes", time.Minute}, {"m", time.Minute},
	{"s", time.Second}, {"sec", time.Second}, {"second", time.Second}, {"seconds", time.Second},
	{"ms", time.Millisecond},
	{"us", time.Microsecond}, {"µs", time.Microsecond}, {"μs", time.Microsecond}, // the micro sign and the Greek letter
	{"ns", time.Nanosecond},
}

// unitLength is the length of the unit of that name; 0 if there is none.
func unitLength(name string) time.Duration {
	for _, u := range units {
		if u.name == name {
			return u.length
		}
	}
	return 0
}

// uneven are the units that have no fixed length. Taking a month for 30 days would be wrong in most months.
var uneven = [...]string{"w", "wk", "week", "weeks", "mo", "mon", "month", "months", "q", "quarter", "quarters", "y", "yr", "year", "years"}

func isUneven(name string) bool { return slices.Contains(uneven[:], name) }

const (
	expectPeriod = `a span of time, such as "hour", "3 hours" or "1m30s"`
	expectUnit   = `a unit of time (s, min, hour, day, ms or us)`
	expectEven   = expectUnit + `; weeks, months and years have no fixed length: write "7d" or "30d", or "calendar week" or "calendar month"`
	expectWhole  = `a whole number; take a smaller unit for a part of one, "1500ms" for 1.5s`
)

// period reads a span of time: a unit, a number of them, several pairs of both without a space, or a number of seconds.
func (p *parser) period() (time.Duration, error) {
	if !p.digitNext() {
		name := p.unitName()
		length := unitLength(name)
		if length == 0 {
			return 0, p.unitError(name, expectPeriod)
		}
		p.at += len(name)
		return length, nil
	}
	start := p.at
	var total, last time.Duration
	for first := true; first || p.digitNext(); first = false {
		number := p.at
		n, err := p.number()
		if err != nil {
			return 0, err
		}
		length := time.Second
		if name, spaces := p.unitAfterNumber(first); name != "" {
			p.at += spaces
			if length = unitLength(name); length == 0 {
				return 0, p.unitError(name, expectUnit)
			}
			if !first && length >= last {
				return 0, p.errorAt(p.at, "a unit of time smaller than the one before it")
			}
			p.at += len(name)
		} else if !first {
			return 0, p.errorAt(p.at, expectUnit)
		}
		last = length
		if n > int64((math.MaxInt64-total)/length) {
			return 0, p.errorAt(number, "a span of time of at most 2^63 nanoseconds, some 292 years")
		}
		total += time.Duration(n) * length
	}
	if total == 0 {
		return 0, p.errorAt(start, "a span of time longer than 0")
	}
	return total, nil
}

// unitAfterNumber is the name that belongs to the number before the cursor, and the spaces between. After a space only a word
// that is a unit belongs to it: in "5/10 burst 2" and "5/10 pacing" the number stands alone.
func (p *parser) unitAfterNumber(spaceAllowed bool) (name string, spaces int) {
	if name = p.unitName(); name != "" || !spaceAllowed {
		return name, 0
	}
	ahead := *p
	ahead.spaces()
	word := ahead.unitName()
	if unitLength(word) != 0 || isUneven(word) {
		return word, ahead.at - p.at
	}
	return "", 0
}

// unitName is the letters at the cursor.
func (p *parser) unitName() string {
	rest := p.text[p.at:]
	for i := range len(rest) {
		if c := rest[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c < 0x80 {
			return rest[:i]
		}
	}
	return rest
}

func (p *parser) unitError(name, expected string) error {
	if isUneven(name) {
		expected = expectEven
	}
	return p.errorAt(p.at, expected)
}

// periodText is the span of time as it is printed: "hour", "min", "1m30s", "7d". Like time.Duration's String without zero
// parts, fractions and the micro sign.
func periodText(d time.Duration) string {
	if d <= 0 {
		return d.String()
	}
	for _, u := range units {
		if u.length == d {
			return u.name
		}
	}
	var b strings.Builder
	for _, part := range [...]unit{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond},
		{"us", time.Microsecond}, {"ns", time.Nanosecond}} {
		if part.length == day && d%day != 0 {
			continue
		}
		if n := d / part.length; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10))
			b.WriteString(part.name)
			d %= part.length
		}
	}
	return b.String()
}
