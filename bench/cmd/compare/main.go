// Command compare measures Stint beside its peers and prints the tables as Markdown.
//
// Without flags it takes about half an hour; it wants the machine for itself. With -quick it takes a few minutes and its figures
// are rough.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint/bench"
)

// run is what the flags ask for.
type run struct {
	effort     bench.Effort
	many       int // keys in the rows of many keys
	fresh      int // new keys in the row of new keys
	strategies int // keys in the row of the strategies
	grow       int // keys to grow to
	sizes      int // sizes on the way
	ttl        time.Duration
	only       string // contestants, by part of the name
}

// part is a section of the page.
type part struct {
	name string
	make func(run) (string, error)
}

var parts = []part{
	{"decisions", decisions},
	{"strategies", strategies},
	{"memory", footprint},
	{"expiry", expiry},
	{"pauses", pauses},
	{"http", httpPath},
	{"redis", onRedis},
	{"cluster", onCluster},
	{"sql", onSQL},
}

func main() {
	if err := compare(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare() error {
	r := run{many: 1_000_000, fresh: 2_000_000, strategies: 100_000, grow: 10_000_000, sizes: 21, ttl: 20 * time.Second}
	quick := flag.Bool("quick", false, "few rounds and few keys")
	rounds := flag.Int("rounds", 0, "rounds of each row (default 31, with -quick 5)")
	chosen := flag.String("parts", "", "parts to run, with commas between: "+names()+" (default all)")
	flag.StringVar(&r.only, "only", "", "contestants to run, parts of their names with commas between (default all)")
	write := flag.String("write", "", "page to put the tables into, between their marks (default: print them)")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	r.effort = bench.Effort{Rounds: 31, Slice: 100 * time.Millisecond}
	if *quick {
		r.effort = bench.Effort{Rounds: 5, Slice: 20 * time.Millisecond}
		r.fresh, r.grow, r.sizes, r.ttl = 200_000, 1_000_000, 9, 3*time.Second
	}
	if *rounds > 0 {
		r.effort.Rounds = *rounds
	}
	for _, p := range parts {
		if *chosen != "" && !slices.Contains(strings.Split(*chosen, ","), p.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s …\n", p.name)
		began := time.Now()
		text, err := p.make(r)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.name, time.Since(began).Round(time.Second))
		if err := publish(*write, p.name, text); err != nil {
			return err
		}
	}
	return nil
}

func names() string {
	all := make([]string, len(parts))
	for i, p := range parts {
		all[i] = p.name
	}
	return strings.Join(all, ", ")
}

// publish prints the text of a part, or puts it into the page.
func publish(page, part, text string) error {
	if page == "" {
		fmt.Printf("\n## %s\n\n%s", part, text)
		return nil
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	updated, err := bench.Replace(old, part, text)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, updated, 0o644)
}

// contestants are ours and the peers, as far as chosen.
func (r run) contestants(all ...bench.Contestant) []bench.Contestant {
	if r.only == "" {
		return all
	}
	return slices.DeleteFunc(all, func(c bench.Contestant) bool {
		return !slices.ContainsFunc(strings.Split(r.only, ","), func(name string) bool { return strings.Contains(c.Name, name) })
	})
}

// rows runs the contestants through the rows.
func (r run) rows(rows []bench.Row, contestants []bench.Contestant) ([][]*bench.Figures, error) {
	results := make([][]*bench.Figures, len(rows))
	for i, row := range rows {
		fmt.Fprintf(os.Stderr, "  %s\n", row.Name)
		var err error
		if results[i], err = row.Run(contestants, r.effort); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// heading is the line above a part's tables.
func (r run) heading(format string, args ...any) string {
	return fmt.Sprintf("%s; %s; %s.\n\n", bench.Machine(), commit(), fmt.Sprintf(format, args...))
}

// commit is what was measured.
func commit() string {
	out, err := exec.CommandContext(context.Background(), "git", "describe", "--always", "--dirty", "--tags").Output()
	if err != nil {
		return "no commit"
	}
	return "commit " + strings.TrimSpace(string(out))
}

func decisions(r run) (string, error) {
	contestants := r.contestants(slices.Concat(bench.Ours(), bench.Peers())...)
	rows := bench.Rows(r.many, r.fresh)
	results, err := r.rows(rows, contestants)
	if err != nil {
		return "", err
	}
	text := r.heading("%d rounds of %v each", r.effort.Rounds, r.effort.Slice) + bench.DecisionsTable(rows, results, contestants)
	if r.only == "" {
		text += "\n" + bench.RatiosTable(rows, results)
	}
	return text + "\n" + bench.AllocationsTable(rows, results, contestants), nil
}

func strategies(r run) (string, error) {
	rows := bench.StrategyRows(r.strategies)
	results, err := r.rows(rows, bench.Strategies())
	if err != nil {
		return "", err
	}
	return r.heading("%d rounds of %v each", r.effort.Rounds, r.effort.Slice) + bench.StrategiesTable(rows, results) + "\n" +
		bench.AllocationsTable(rows, results, bench.Strategies()), nil
}

// keepers are the contestants that keep keys, Stint once.
func (r run) keepers() []bench.Contestant {
	all := r.contestants(slices.Concat(bench.Ours(), bench.Peers())...)
	return slices.DeleteFunc(all, func(c bench.Contestant) bool { return c.OneKey || c.Ours && c.Aside })
}

func footprint(r run) (string, error) {
	sizes := bench.Sizes(min(100_000, r.grow/10), r.grow, r.sizes)
	t := bench.NewTable("bytes a live key", "least", "mean", "most", "at "+fmt.Sprint(sizes[len(sizes)-1]))
	for _, c := range r.keepers() {
		fmt.Fprintf(os.Stderr, "  %s\n", c.Name)
		perKey, err := bench.Footprint(c, sizes)
		if err != nil {
			return "", err
		}
		sum := 0.0
		for _, b := range perKey {
			sum += b
		}
		t.Line(c.Name, fmt.Sprintf("%.1f", slices.Min(perKey)), fmt.Sprintf("%.1f", sum/float64(len(perKey))),
			fmt.Sprintf("%.1f", slices.Max(perKey)), fmt.Sprintf("%.1f", perKey[len(perKey)-1]))
	}
	return r.heading("%d sizes from %d to %d keys", len(sizes), sizes[0], sizes[len(sizes)-1]) + t.String(), nil
}

func expiry(r run) (string, error) {
	t := bench.NewTable(fmt.Sprintf("%d keys, all expired", r.grow), "peak, MB", "after, MB", "longest call, ms")
	for _, c := range r.keepers() {
		fmt.Fprintf(os.Stderr, "  %s\n", c.Name)
		e, err := bench.Expire(c, r.grow, r.ttl)
		if err != nil {
			return "", err
		}
		t.Line(c.Name, fmt.Sprintf("%.0f", float64(e.Peak)/1e6), fmt.Sprintf("%.1f", float64(e.After)/1e6), milliseconds(e.Longest))
	}
	return r.heading("limits that are full again after %v; then, for %v, %d new keys, which are live at the end", r.ttl, r.ttl, r.grow/10) + t.String(), nil
}

func pauses(r run) (string, error) {
	t := bench.NewTable(fmt.Sprintf("growing to %d keys: time of a call", r.grow), "median, ns", "1 in 10,000, µs", "longest, ms",
		"over 1 ms", "the machine's own longest, ms")
	for _, c := range r.keepers() {
		fmt.Fprintf(os.Stderr, "  %s\n", c.Name)
		p, err := bench.LongestCall(c, r.grow)
		if err != nil {
			return "", err
		}
		t.Line(c.Name, fmt.Sprint(p.Median.Nanoseconds()), fmt.Sprintf("%.1f", float64(p.P9999)/1e3), milliseconds(p.Longest),
			fmt.Sprint(p.Over), milliseconds(p.Machine))
	}
	return r.heading("each call timed by itself, two readings of the clock included") + t.String(), nil
}

func httpPath(r run) (string, error) {
	rows := bench.HTTPRows()
	results, err := r.rows(rows, bench.Middlewares())
	if err != nil {
		return "", err
	}
	return r.heading("%d rounds of %v each", r.effort.Rounds, r.effort.Slice) + bench.HTTPTable(results), nil
}

func onRedis(r run) (string, error) {
	text, keys := "", min(100_000, r.many)
	for _, part := range []struct {
		rows        []bench.SharedRow
		contestants []bench.SharedContestant
	}{{bench.RedisRows(keys), bench.RedisContestants()}, {bench.RedisPairRows(keys), bench.RedisPairContestants()}} {
		for _, row := range part.rows {
			fmt.Fprintf(os.Stderr, "  %s\n", row.Name)
			server, err := bench.StartRedis(context.Background())
			if err != nil {
				return "", err
			}
			figures, err := row.Run(server, part.contestants, bench.Effort{Rounds: r.effort.Rounds, Slice: 5 * r.effort.Slice})
			server.Close()
			if err != nil {
				return "", err
			}
			text += bench.SharedTable(row, figures) + "\n"
		}
	}
	return r.heading("one redis-server on the same machine, %d rounds of %v each", r.effort.Rounds, 5*r.effort.Slice) + text, nil
}

func onCluster(r run) (string, error) {
	lines, err := bench.ByMasters(min(100_000, r.many), bench.Effort{Rounds: r.effort.Rounds, Slice: 10 * r.effort.Slice})
	if err != nil {
		return "", err
	}
	return r.heading("%v at the end of %d", 10*r.effort.Slice, r.effort.Rounds) + bench.ClusterTable(lines), nil
}

func onSQL(r run) (string, error) {
	text := ""
	for _, kind := range bench.SQLKinds() {
		server, err := kind.Start()
		if err != nil {
			return "", err
		}
		for _, row := range bench.SQLRows(min(100_000, r.many)) {
			fmt.Fprintf(os.Stderr, "  %s, %s\n", kind.Name, row.Name)
			figures, err := row.Run(server, kind.Contestants, bench.Effort{Rounds: r.effort.Rounds, Slice: 10 * r.effort.Slice})
			if err != nil {
				server.Close()
				return "", err
			}
			row.Name = kind.Name + ", " + row.Name
			text += bench.SharedTable(row, figures) + "\n"
		}
		server.Close()
	}
	return r.heading("one durable server on the same machine, %d rounds of %v each", r.effort.Rounds, 10*r.effort.Slice) + text, nil
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }
