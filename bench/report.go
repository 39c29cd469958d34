package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Table is a Markdown table. All columns but the first are numbers.
type Table struct {
	lines []string
}

// NewTable begins a table.
func NewTable(columns ...string) *Table {
	t := &Table{}
	t.Line(columns...)
	t.lines = append(t.lines, "|---"+strings.Repeat("|--:", len(columns)-1)+"|")
	return t
}

// Line adds a line.
func (t *Table) Line(cells ...string) {
	t.lines = append(t.lines, "| "+strings.Join(cells, " | ")+" |")
}

func (t *Table) String() string { return strings.Join(t.lines, "\n") + "\n" }

// DecisionsTable shows ns a decision: a line for each contestant, a column for each row.
func DecisionsTable(rows []Row, results [][]*Figures, contestants []Contestant) string {
	return cells("ns a decision, median (least)", rows, results, contestants, true, (*Figures).cell)
}

// AllocationsTable shows allocations a decision in the same order.
func AllocationsTable(rows []Row, results [][]*Figures, contestants []Contestant) string {
	return cells("allocations a decision", rows, results, contestants, false, func(f *Figures) string {
		if f.Allocs < 0.005 {
			return "0"
		}
		return fmt.Sprintf("%.2f", f.Allocs)
	})
}

// cells makes a table of a cell for each contestant and row.
func cells(title string, rows []Row, results [][]*Figures, contestants []Contestant, notes bool, cell func(*Figures) string) string {
	columns := []string{title}
	for _, r := range rows {
		columns = append(columns, r.Name)
	}
	t := NewTable(columns...)
	for _, c := range contestants {
		name := c.Name
		if c.Ours {
			name = "**" + name + "**"
		}
		if notes && c.Note != "" {
			name += ": " + c.Note
		}
		line := []string{name}
		for i := range rows {
			text := "–"
			if f := find(results[i], c.Name); f != nil {
				text = cell(f)
			}
			line = append(line, text)
		}
		t.Line(line...)
	}
	return t.String()
}

// RatiosTable shows how many times faster than the best peer each of our ways is: the median of the rounds' ratios, and the
// ratio of the fastest rounds. Where a hand-made map in front of a limiter beats all that know keys themselves, it has a line
// of its own.
func RatiosTable(rows []Row, results [][]*Figures) string {
	columns := []string{"× faster than the best peer, median (least)", "best peer", "its ns"}
	for _, c := range Ours() {
		columns = append(columns, c.Name)
	}
	t := NewTable(columns...)
	line := func(name string, peer *Figures, figures []*Figures) {
		line := []string{name, peer.Contestant.Name, number(peer.Median())}
		for _, c := range Ours() {
			f := find(figures, c.Name)
			line = append(line, fmt.Sprintf("%.1f (%.1f)", pairedRatio(peer, f), peer.Least()/f.Least()))
		}
		t.Line(line...)
	}
	for i, r := range rows {
		keyed, best := bestPeer(results[i], false), bestPeer(results[i], true)
		line(r.Name, keyed, results[i])
		if best != keyed {
			line(r.Name+", hand-made maps included", best, results[i])
		}
	}
	return t.String()
}

// StrategiesTable shows each strategy's time in ns and as a multiple of the first one's.
func StrategiesTable(rows []Row, results [][]*Figures) string {
	firsts := map[*Figures]*Figures{}
	for _, figures := range results {
		for _, f := range figures {
			firsts[f] = figures[0]
		}
	}
	return cells("ns a decision, median (least), × of the token bucket", rows, results, Strategies(), false, func(f *Figures) string {
		return fmt.Sprintf("%s, %.1f", f.cell(), pairedRatio(f, firsts[f]))
	})
}

// cell is the median, the least and what went wrong.
func (f *Figures) cell() string {
	text := fmt.Sprintf("%s (%s)", number(f.Median()), number(f.Least()))
	if f.Wrong > 0 {
		text += fmt.Sprintf(", %.2g %% wrong", 100*float64(f.Wrong)/float64(f.Decided))
	}
	return text
}

func find(figures []*Figures, name string) *Figures {
	for _, f := range figures {
		if f.Contestant.Name == name {
			return f
		}
	}
	return nil
}

// bestPeer is the peer with the lowest median, among those behind a hand-made map too if mapped is set.
func bestPeer(figures []*Figures, mapped bool) *Figures {
	var best *Figures
	for _, f := range figures {
		c := f.Contestant
		if c.Ours || c.Aside || c.Mapped && !mapped {
			continue
		}
		if best == nil || f.Median() < best.Median() {
			best = f
		}
	}
	return best
}

// pairedRatio is the median of the ratios of one round each: what disturbs a round disturbs both.
func pairedRatio(slow, fast *Figures) float64 {
	ratios := make([]float64, len(slow.Rounds))
	for i := range ratios {
		ratios[i] = slow.Rounds[i] / fast.Rounds[i]
	}
	return quantile(ratios, 0.5)
}

// number writes ns with as many digits as mean something.
func number(ns float64) string {
	if ns < 20 {
		return fmt.Sprintf("%.1f", ns)
	}
	return fmt.Sprintf("%.0f", ns)
}

// Machine says where and when the figures were taken.
func Machine() string {
	model := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d processors (%s), %s/%s, %s", time.Now().UTC().Format(time.DateOnly), runtime.GOMAXPROCS(0), model,
		runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// Replace puts a part's text between its two marks in a page: <!-- begin PART --> and <!-- end PART -->, each on a line.
func Replace(page []byte, part, text string) ([]byte, error) {
	begin, end := "<!-- begin "+part+" -->", "<!-- end "+part+" -->"
	var lines []string
	for scanner := bufio.NewScanner(bytes.NewReader(page)); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	from, to := slices.Index(lines, begin), slices.Index(lines, end)
	if from < 0 || to < from {
		return nil, fmt.Errorf("page has no lines %q and %q in this order", begin, end)
	}
	lines = slices.Concat(lines[:from+1], strings.Split(strings.TrimSuffix(text, "\n"), "\n"), lines[to:])
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}
