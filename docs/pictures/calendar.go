package main

import (
	"fmt"
	"time"
	_ "time/tzdata" // the zones, wherever this runs
)

// span is one window of a calendar.
type span struct{ from, until time.Time }

// spans are the first n windows of a limit from an instant on, as its decisions tell: a look at the instant at which one ends
// is told when the next one does.
func spans(text string, from time.Time, n int) ([]span, error) {
	s, err := newStage(text)
	if err != nil {
		return nil, err
	}
	defer s.store.Close()
	var found []span
	for range n {
		s.now.Store(from.UnixMicro())
		d, err := s.take()
		if err != nil || !d.Allowed {
			return nil, fmt.Errorf("at %v: %v, %w", from, d.Reason, err)
		}
		until := from.Add(d.ResetAfter)
		found = append(found, span{from, until})
		from = until
	}
	return found, nil
}

// calendar draws days around the changes of the clocks, and months.
func calendar() ([]byte, error) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return nil, err
	}
	c := newCanvas(262, "calendar window", "100/calendar-day in Europe/Berlin", "calendar windows: days of 23, 24 and 25 hours, months of 28 to 31 days")
	const row, gap = 60.0, 60.0
	for i, show := range []struct {
		label, detail, text string
		from                time.Time
		windows             int
		name                string
		unit                time.Duration
		units               string
	}{
		{"clocks go back", "in October", "100/calendar-day in Europe/Berlin", time.Date(2026, 10, 24, 0, 0, 0, 0, berlin), 3, "Mon 2 Jan", time.Hour, "h"},
		{"clocks go ahead", "in March", "100/calendar-day in Europe/Berlin", time.Date(2027, 3, 27, 0, 0, 0, 0, berlin), 3, "Mon 2 Jan", time.Hour, "h"},
		{"months", "in UTC", "100/calendar-month", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), 4, "January", 24 * time.Hour, "days"},
	} {
		windows, err := spans(show.text, show.from, show.windows)
		if err != nil {
			return nil, err
		}
		y := row + gap*float64(i)
		c.text(24, y+17, "", show.label)
		c.text(24, y+35, "muted", show.detail)
		const left = 150.0
		scale := (width - 24 - left) / float64(windows[len(windows)-1].until.Sub(show.from))
		for _, w := range windows {
			from, length := left+scale*float64(w.from.Sub(show.from)), scale*float64(w.until.Sub(w.from))
			c.rect("bar", from+2, y, length-4, 44)
			c.text(from+length/2, y+18, "middle", w.from.Format(show.name))
			c.text(from+length/2, y+36, "muted middle", fmt.Sprintf("%.4g %s", float64(w.until.Sub(w.from))/float64(show.unit), show.units))
		}
	}
	c.text(152, 248, "muted", "The count starts anew with each of them: 100 units in an hour less or more.")
	return c.end(), nil
}
