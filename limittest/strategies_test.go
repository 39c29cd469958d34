package limittest_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
)

func TestStrategies(t *testing.T) {
	for _, s := range limittest.Strategies() {
		t.Run(s.Name(), func(t *testing.T) { limittest.Strategy(t, s) })
	}
}

// TestCalendarZones runs the calendar where midnight is skipped (Havana), where a clock goes back over it (Sao Paulo until 2019),
// where an offset is no whole hour (Lord Howe), and where a week begins on Sunday.
func TestCalendarZones(t *testing.T) {
	for _, c := range []struct {
		zone string
		stint.CalendarWindow
	}{
		{"America/Havana", stint.CalendarWindow{Every: stint.Day}},
		{"America/Sao_Paulo", stint.CalendarWindow{Every: stint.Week}},
		{"Australia/Lord_Howe", stint.CalendarWindow{Every: stint.Month}},
		{"Europe/Berlin", stint.CalendarWindow{Every: stint.Week, WeekEnds: time.Saturday}},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		c.Zone = zone
		limit := stint.Limit{Units: 3, Per: time.Hour}
		t.Run(c.Name(), func(t *testing.T) {
			limittest.StrategyWith(t, limittest.StrategyOptions{Limits: []stint.Limit{limit}}, c.CalendarWindow)
		})
	}
}
