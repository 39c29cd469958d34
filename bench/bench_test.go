package bench

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each contestant decides each row rightly, whatever its speed.
func TestContestantsDecideRightly(t *testing.T) {
	tests := []struct {
		rows        []Row
		contestants []Contestant
	}{
		{Rows(500, 2000), slices.Concat(Ours(), Peers())},
		{StrategyRows(500), Strategies()},
		{HTTPRows(), Middlewares()[1:]},
	}
	for _, test := range tests {
		for _, row := range test.rows {
			t.Run(row.Name, func(t *testing.T) {
				figures, err := row.Run(test.contestants, Effort{Rounds: 1})
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range figures {
					// throttled gives up with an error after ten lost races; a contended key may see that.
					if f.Wrong != 0 && f.Contestant.Name != "throttled" {
						t.Errorf("%s: %d of %d decisions are wrong", f.Contestant.Name, f.Wrong, f.Decided)
					}
				}
			})
		}
	}
}

// Deciders that grant all, or nothing, are found out.
func TestWrongDecisionsAreCounted(t *testing.T) {
	never := Contestant{Name: "never", New: func(Limit) (*Subject, error) {
		return shared(func([]string) int { return 0 }), nil
	}}
	for _, row := range Rows(2000, 2000) {
		figures, err := row.Run([]Contestant{never}, Effort{Rounds: 1})
		if err != nil {
			t.Fatal(err)
		}
		if f := figures[0]; row.Refused != (f.Wrong == 0) || f.Decided == 0 {
			t.Errorf("%s: %d of %d wrong", row.Name, f.Wrong, f.Decided)
		}
	}
}

func TestStreams(t *testing.T) {
	const n = 1000
	for name, stream := range map[string][]string{"uniform": uniform(n), "in order": inOrder(n)} {
		if distinct := slices.Compact(slices.Sorted(slices.Values(stream))); len(stream) != n || len(distinct) != n {
			t.Errorf("%s: %d keys, %d of them distinct; want %d", name, len(stream), len(distinct), n)
		}
	}
	if stream := inOrder(n); stream[0] != "customer:00000000" || stream[999] != "customer:00000999" {
		t.Errorf("keys from %q to %q", stream[0], stream[999])
	}
	counts := map[string]int{}
	for _, key := range zipf(n) {
		counts[key]++
	}
	if most := slices.Max(slices.Collect(maps.Values(counts))); most < n/5 || most > n {
		t.Errorf("zipf: the most frequent of %d keys came %d times in %d draws", n, most, 2*n)
	}
}

func TestSizes(t *testing.T) {
	if got, want := Sizes(100, 10_000, 3), []int{100, 1000, 10_000}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMemoryPartsRun(t *testing.T) {
	c := Ours()[0]
	if perKey, err := Footprint(c, []int{2000, 20_000}); err != nil || len(perKey) != 2 || perKey[1] <= 0 {
		t.Errorf("footprint %v, error %v", perKey, err)
	}
	if e, err := Expire(c, 20_000, time.Millisecond); err != nil || e.Peak <= 0 {
		t.Errorf("expired %+v, error %v", e, err)
	}
	if p, err := LongestCall(c, 20_000); err != nil || p.Longest < p.P9999 || p.P9999 < p.Median {
		t.Errorf("pauses %+v, error %v", p, err)
	}
}

func TestReplace(t *testing.T) {
	page := "# Title\n<!-- begin a -->\nold\n<!-- end a -->\nrest\n"
	got, err := Replace([]byte(page), "a", "new\nlines\n")
	if want := "# Title\n<!-- begin a -->\nnew\nlines\n<!-- end a -->\nrest\n"; err != nil || string(got) != want {
		t.Errorf("got %q, error %v", got, err)
	}
	if _, err := Replace([]byte(page), "b", "new"); err == nil || !strings.Contains(err.Error(), "<!-- begin b -->") {
		t.Errorf("a part without marks: error %v", err)
	}
}

func TestTables(t *testing.T) {
	fast, slow, waits := Contestant{Name: "fast", Ours: true, Note: "hash"}, Contestant{Name: "slow"}, Contestant{Name: "waits", OneKey: true}
	results := [][]*Figures{{
		{Contestant: fast, Rounds: []float64{12.34}, Decided: 100},
		{Contestant: slow, Rounds: []float64{1234.5}, Decided: 100, Wrong: 1, Allocs: 2},
	}}
	rows, contestants := []Row{{Name: "a row"}}, []Contestant{fast, slow, waits}
	got := DecisionsTable(rows, results, contestants) + AllocationsTable(rows, results, contestants)
	want := `| ns a decision, median (least) | a row |
|---|--:|
| **fast**: hash | 12.3 (12.3) |
| slow | 1234 (1234), 1 % wrong |
| waits | – |
| allocations a decision | a row |
|---|--:|
| **fast** | 0 |
| slow | 2.00 |
| waits | – |
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestRatios(t *testing.T) {
	slow := &Figures{Rounds: []float64{100, 300, 120}}
	fast := &Figures{Rounds: []float64{50, 100, 60}}
	if got := pairedRatio(slow, fast); got != 2 {
		t.Errorf("got %v, want 2", got)
	}
	if slow.Median() != 120 || slow.Least() != 100 {
		t.Errorf("median %v, least %v", slow.Median(), slow.Least())
	}
}

// The rows one by one, for profiles: go test -bench 'Row/1M_keys,_1.*/^stint$' -cpuprofile cpu.out
func BenchmarkRow(b *testing.B) {
	benchmark(b, Rows(1_000_000, 1_000_000), slices.Concat(Ours(), Peers()))
}

func BenchmarkStrategy(b *testing.B) { benchmark(b, StrategyRows(100_000), Strategies()) }

func BenchmarkHTTP(b *testing.B) { benchmark(b, HTTPRows(), Middlewares()) }

func benchmark(b *testing.B, rows []Row, contestants []Contestant) {
	for _, row := range rows {
		stream, fill := row.streams()
		for _, c := range contestants {
			if c.OneKey && row.Keys > 1 {
				continue
			}
			b.Run(row.Name+"/"+c.Name, func(b *testing.B) {
				b.ReportAllocs()
				if row.Fresh {
					stream = row.Stream(b.N) // each key once
				}
				p := &runner{row: row, stream: stream, figures: &Figures{Contestant: c}}
				if err := p.start(fill); err != nil {
					b.Fatal(err)
				}
				defer p.close()
				b.ResetTimer()
				p.run(b.N)
			})
		}
	}
}
