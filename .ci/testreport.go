//go:build ignore

// Testreport reads the events of `go test -json` and prints what matters: a line for each package, the output of each test
// that failed, each test that was skipped and why, and a summary. It exits with 1 if a test failed, or was skipped where
// CI=true.
//
// With -markdown it prints instead a table of the proofs, the tests whose name holds "Prove".
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// event is one line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

type report struct {
	out      io.Writer
	markdown bool

	output                  map[string][]string // of each test that runs, and under "package " of its package
	tests                   map[string]int      // ended, by package
	passed, failed, skipped int
	packages                int
	broken                  bool // something failed that is not a test: a build, a package's set-up
	skips                   []string
}

func main() {
	markdown := flag.Bool("markdown", false, "print a table of the proofs")
	flag.Parse()
	r := &report{out: os.Stdout, markdown: *markdown, output: map[string][]string{}, tests: map[string]int{}}
	began := time.Now()
	lines := bufio.NewReader(os.Stdin)
	if r.markdown {
		r.printf("| proof | result | time |\n|---|---|--:|\n")
	}
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err != nil {
			break
		}
	}
	os.Exit(r.summary(time.Since(began)))
}

func (r *report) printf(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

func (r *report) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		// Not from a test: the go command itself, or the note of .ci/test that it failed.
		r.broken = r.broken || strings.HasPrefix(line, "go test failed")
		if !strings.HasPrefix(line, "go: downloading ") {
			r.printf("%s", line)
		}
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		r.printf("%s", e.Output)
	case "build-fail":
		r.broken = true
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e)
		}
		delete(r.output, key)
	}
}

func (r *report) endTest(e event) {
	r.tests[e.Package]++
	output := r.output[e.Package+" "+e.Test]
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		r.printf("%s", strings.Join(output, ""))
	case "skip":
		r.skipped++
		r.skips = append(r.skips, e.Package+" "+e.Test+": "+said(output))
	}
	if r.markdown && strings.Contains(e.Test, "Prove") {
		r.printf("| `%s` %s | %s | %.1f s |\n", e.Test, said(output), e.Action, e.Elapsed)
	}
}

func (r *report) endPackage(e event) {
	output := strings.Join(r.output[e.Package+" "], "")
	if e.Action == "fail" {
		r.broken = true
		r.printf("%s", output)
	}
	if r.markdown || e.Action == "skip" || r.tests[e.Package] == 0 && e.Action == "pass" {
		return
	}
	r.packages++
	r.printf("%-4s  %s  %d tests  %.1f s\n", map[string]string{"pass": "ok", "fail": "FAIL"}[e.Action], e.Package, r.tests[e.Package],
		e.Elapsed)
}

// said is what a test logged, without the lines that every test prints.
func said(output []string) string {
	var lines []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

// summary prints the closing lines and returns the exit status.
func (r *report) summary(took time.Duration) int {
	strict := os.Getenv("CI") == "true"
	for _, skip := range r.skips {
		r.printf("skipped: %s\n", skip)
	}
	r.printf("\n%d tests and sub-tests in %d packages in %v: %d passed, %d failed, %d skipped\n", r.passed+r.failed+r.skipped,
		r.packages, took.Round(time.Second), r.passed, r.failed, r.skipped)
	switch {
	case r.failed > 0 || r.broken:
		r.printf("FAILED\n")
	case r.skipped > 0 && strict:
		r.printf("FAILED: with CI=true no test may be skipped\n")
	case r.passed == 0:
		r.printf("FAILED: no test ran\n")
	default:
		r.printf("all is well\n")
		return 0
	}
	return 1
}
