package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint/bench"
)

// report shows the medians of the rounds, and the medians of the ratios within each round.
func report(figures []figure) string {
	var doors []string
	for i := range figures {
		if !slices.Contains(doors, figures[i].Door) {
			doors = append(doors, figures[i].Door)
		}
	}
	slices.SortFunc(doors, func(a, b string) int { return slices.Index(doorNames, a) - slices.Index(doorNames, b) })
	text := ""
	for _, c := range columns {
		t := bench.NewTable(append([]string{c.name}, headings()...)...)
		for _, d := range doors {
			t.Line(cells(d, func(n int) string { return fmt.Sprintf(c.format, median(at(figures, d, n), c.of)) })...)
		}
		text += t.String() + "\n"
	}
	t := bench.NewTable(append([]string{"× the decisions a second, × own CPU a decision"}, headings()...)...)
	for _, ours := range doors {
		for _, theirs := range doors {
			if !isOurs(ours) || isOurs(theirs) || ours == takeOne && isBatch(theirs) {
				continue
			}
			t.Line(cells(ours+" to "+theirs, func(n int) string { return ratio(at(figures, ours, n), at(figures, theirs, n)) })...)
		}
	}
	return text + t.String()
}

// columns are what is shown of a door.
var columns = []struct {
	name, format string
	of           func(figure) float64
}{
	{"decisions a second", "%.0f", figure.perSecond},
	{"own CPU, µs a decision", "%.1f", figure.own},
	{"CPU of its Redis, µs a decision", "%.1f", func(f figure) float64 { return micros(f.Redis) / float64(f.Decisions) }},
	{"a call waits, µs, median", "%.0f", func(f figure) float64 { return micros(f.Median) }},
	{"a call waits, µs, p99", "%.0f", func(f figure) float64 { return micros(f.P99) }},
}

func headings() (all []string) {
	for _, n := range inFlight {
		all = append(all, fmt.Sprintf("%d in flight", n))
	}
	return all
}

// cells are a line of a table.
func cells(name string, cell func(inFlight int) string) []string {
	all := []string{name}
	for _, n := range inFlight {
		all = append(all, cell(n))
	}
	return all
}

func isOurs(door string) bool { return strings.HasPrefix(door, "Stint") }

func isBatch(door string) bool { return strings.Contains(door, "64") }

// ratio compares two doors by the rounds that both have.
func ratio(ours, theirs []figure) string {
	other := map[int]figure{}
	for _, f := range theirs {
		other[f.Round] = f
	}
	ours = slices.DeleteFunc(ours, func(f figure) bool { return other[f.Round].Decisions == 0 })
	return fmt.Sprintf("%.1f, %.3f",
		median(ours, func(f figure) float64 { return f.perSecond() / other[f.Round].perSecond() }),
		median(ours, func(f figure) float64 { return f.own() / other[f.Round].own() }))
}

func at(figures []figure, door string, n int) (found []figure) {
	for _, f := range figures {
		if f.Door == door && f.InFlight == n {
			found = append(found, f)
		}
	}
	return found
}

func (f figure) perSecond() float64 { return float64(f.Decisions) / f.Elapsed.Seconds() }

func (f figure) own() float64 { return micros(f.Own) / float64(f.Decisions) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func median(figures []figure, of func(figure) float64) float64 {
	values := make([]float64, len(figures))
	for i, f := range figures {
		values[i] = of(f)
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}
