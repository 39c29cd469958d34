package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/service/load"
)

type loadCommand struct {
	leaf
	loadArguments `positional-args:"yes"`
	Rate          string        `long:"rate" description:"How many requests in how long, such as 2000/min. Asked for on a terminal."`
	Duration      time.Duration `long:"duration" description:"How long to send. 1m if --requests is not given either."`
	Requests      int64         `short:"n" long:"requests" description:"How many requests to send."`
	Connections   int           `long:"connections" default:"64" description:"The most requests in flight, each on its own connection."`
	Header        []string      `short:"H" long:"header" value-name:"NAME: VALUE" description:"A header to send. Can be given again."`
	Method        string        `short:"X" long:"method" description:"The method: GET, or POST with a body."`
	Body          string        `long:"body" description:"The body to send; @FILE takes it from a file."`
	Timeout       time.Duration `long:"timeout" default:"30s" description:"How long an answer may take."`
	OnLimit       string        `long:"on-limit" value-name:"go-on|wait:5s|retry-after" default:"go-on" description:"What a refusal does to the requests after it."`
	Expect        []string      `long:"expect" value-name:"LIMIT" description:"A limit that should hold, such as \"100/hour\", \"10/s burst 20\" or \"5/1m30s interval-bucket\". Can be given again. Exits with 1 if it did not hold."`
	JSON          bool          `long:"json" description:"End with the report as one JSON object on the standard output."`
}

// loadArguments are what stands without a flag.
type loadArguments struct {
	URL string `positional-arg-name:"URL" description:"Where to send. Asked for on a terminal."`
}

// Run sends the load, shows how it goes, and prints the report.
func (c *loadCommand) Run(ctx context.Context, t *terminal) error {
	if err := c.ask(t); err != nil {
		return err
	}
	options, err := c.options()
	if err != nil {
		return err
	}
	live := progressTo(t.err)
	options.Progress, options.ProgressEvery = live.show, live.every
	report, err := load.Run(ctx, options)
	live.end()
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(t.out).Encode(report)
	} else {
		err = printReport(t.out, &report)
	}
	switch {
	case err != nil:
		return err
	case !report.Held:
		return errNo
	case len(report.Statuses) == 0:
		return fmt.Errorf("no request was answered: %s; check the address %s, and that the service is running",
			commonest(report.ErrorsByKind), report.URL)
	}
	return nil
}

// ask asks for what was not given, if somebody is there to answer.
func (c *loadCommand) ask(t *terminal) error {
	if c.URL != "" && c.Rate != "" {
		return nil
	}
	if !term.IsTerminal(int(t.in.Fd())) {
		return errors.New("load needs an address and a rate: stint load http://127.0.0.1:8080/limit --rate 2000/min")
	}
	answers := bufio.NewReader(t.in)
	question := func(text string) (string, error) {
		fmt.Fprint(t.err, text)
		line, err := answers.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("no answer: %w", err)
		}
		return strings.TrimSpace(line), nil
	}
	var err error
	if c.URL == "" {
		if c.URL, err = question("Address (such as http://127.0.0.1:8080/limit): "); err != nil {
			return err
		}
		if !strings.Contains(c.URL, "://") {
			c.URL = "http://" + c.URL
		}
	}
	if c.Rate == "" {
		if c.Rate, err = question("Requests per minute: "); err != nil {
			return err
		}
		c.Rate += "/min"
	}
	return nil
}

func (c *loadCommand) options() (load.Options, error) {
	o := load.Options{
		URL: c.URL, Method: c.Method, Duration: c.Duration, Requests: c.Requests, Connections: c.Connections, Timeout: c.Timeout,
	}
	var err error
	if o.Rate, err = stint.ParseLimit(c.Rate); err != nil {
		return o, fmt.Errorf("--rate: %w", err)
	}
	if o.OnLimit, err = load.ParseOnLimit(c.OnLimit); err != nil {
		return o, fmt.Errorf("--%w", err)
	}
	if o.Header, err = parseHeaders(c.Header); err != nil {
		return o, err
	}
	for _, text := range c.Expect {
		limits, err := stint.ParseLimits(text)
		if err != nil {
			return o, fmt.Errorf("--expect: %w", err)
		}
		o.Expect = append(o.Expect, limits...)
	}
	o.Body = []byte(c.Body)
	if file, ok := strings.CutPrefix(c.Body, "@"); ok {
		if o.Body, err = os.ReadFile(file); err != nil {
			return o, fmt.Errorf("--body: %w", err)
		}
	}
	return o, nil
}

// parseHeaders reads headers written "Name: value".
func parseHeaders(texts []string) (http.Header, error) {
	header := make(http.Header)
	for _, text := range texts {
		name, value, ok := strings.Cut(text, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf(`-H %q: write "Name: value"`, text)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// progress shows how a run goes: on a terminal as one line that is written over, else as a line now and then.
type progress struct {
	to       *os.File
	terminal bool
	every    time.Duration
}

func progressTo(f *os.File) *progress {
	if term.IsTerminal(int(f.Fd())) {
		return &progress{f, true, time.Second / 4}
	}
	return &progress{f, false, 5 * time.Second}
}

func (p *progress) show(now load.Progress) {
	before, after := "", "\n"
	if p.terminal {
		before, after = "\r\x1b[K", ""
	}
	fmt.Fprintf(p.to, "%s%v: sent %d, admitted %d, refused %d, errors %d, p99 %v%s", before, now.Elapsed.Round(time.Second/10),
		now.Sent, now.Admitted, now.Refused, now.Errors, short(now.P99), after)
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}

// printReport prints a report to be read.
func printReport(w io.Writer, r *load.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Sent      %d in %v, at %s, %s %s\n", r.Sent, r.Elapsed.Round(time.Millisecond), r.Rate, r.Method, r.URL)
	fmt.Fprintf(&b, "Admitted  %d\nRefused   %d\nErrors    %d\n", r.Admitted, r.Refused, r.Errors)
	for _, kind := range byCount(r.ErrorsByKind) {
		fmt.Fprintf(&b, "          %d × %s\n", r.ErrorsByKind[kind], kind)
	}
	l := r.Latencies
	fmt.Fprintf(&b, "Latency   p50 %v, p90 %v, p99 %v, p99.9 %v, max %v (from when each was to be sent)\n",
		short(l.P50), short(l.P90), short(l.P99), short(l.P999), short(l.Max))
	fmt.Fprintf(&b, "In any %s the most admitted was %d for sure (%d by when they were sent, %d by when they were answered)\n",
		span(r.Window), r.WorstWindow, r.WorstWindowBySent, r.WorstWindowByAnswer)
	for _, v := range r.Verdicts {
		word := "HELD"
		switch {
		case !v.Held:
			word = "DID NOT HOLD"
		case len(r.Statuses) == 0:
			word = "NOT JUDGED, nobody answered"
		case v.Allowed == math.MaxInt64:
			word = "NOT JUDGED, it has no bound in a span of time"
		}
		fmt.Fprintf(&b, "Expected  %s (%s): %s. In any %s at most %s are allowed; %d were admitted for sure.\n", v.Limit, v.Strategy, word,
			span(v.Window), many(v.Allowed), v.Admitted)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// many is a number of requests, of which the largest says that there is no bound.
func many(n int64) string {
	if n == math.MaxInt64 {
		return "any number"
	}
	return strconv.FormatInt(n, 10)
}

// short is a latency with three digits or so.
func short(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d
}

// byCount are the kinds of error, the most frequent first.
func byCount(kinds map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(kinds[b], kinds[a]), cmp.Compare(a, b))
	})
}

func commonest(kinds map[string]int64) string {
	if all := byCount(kinds); len(all) > 0 {
		return all[0]
	}
	return "none was sent"
}
