// Command services measures the decision service of Stint beside envoyproxy/ratelimit, each on its own program:
//
//	services -stint bin/stint -envoy ratelimit
//
// It starts a redis-server, both programs with one limit that is never reached, and puts all doors through interleaved rounds with
// the same client: one call in flight on each of 1, 16 and 64 connections; through gRPC as many streams of one connection, as Envoy
// itself asks. It prints decisions a second, what a caller waits, and the processor time of the servers (read from /proc, so on Linux),
// and checks every answer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// inFlight are how many calls are made at once.
var inFlight = []int{1, 16, 64}

// figure is what one door gave in one round.
type figure struct {
	Round       int
	Door        string
	InFlight    int
	Decisions   int
	Elapsed     time.Duration
	Own, Redis  time.Duration // processor time of the server, and of its Redis
	Median, P99 time.Duration // of a call
}

func main() {
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := services(ctx)
	end()
	if err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

func services(ctx context.Context) error {
	stint := flag.String("stint", "bin/stint", "the program of Stint")
	envoy := flag.String("envoy", "", "the program that src/service_cmd of github.com/envoyproxy/ratelimit is built to; without it Stint is measured alone")
	rounds := flag.Int("rounds", 9, "rounds; 0 prints what is kept")
	span := flag.Duration("span", 300*time.Millisecond, "how long a door is asked in a round")
	keep := flag.String("keep", "", "a file that figures are added to, and read from: several runs, one table")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	figures, err := kept(*keep)
	if err != nil {
		return err
	}
	if *rounds > 0 {
		first := 0
		for _, f := range figures {
			first = max(first, f.Round+1)
		}
		more, err := measure(ctx, *stint, *envoy, *rounds, *span, first)
		if err != nil {
			return err
		}
		if err := add(*keep, more); err != nil {
			return err
		}
		figures = append(figures, more...)
	}
	fmt.Print(report(figures))
	return nil
}

// measure starts the servers and asks all doors in rounds, which are numbered from first.
func measure(ctx context.Context, stint, envoy string, rounds int, span time.Duration, first int) ([]figure, error) {
	started, err := start(ctx, stint, envoy)
	if err != nil {
		return nil, err
	}
	defer started.stop()
	var figures []figure
	for round := range rounds {
		for _, n := range inFlight {
			for i := range started.doors {
				d := started.doors[(i+first+round)%len(started.doors)] // another is first in each round
				f, err := ask(ctx, d, n, span)
				if err != nil {
					return nil, fmt.Errorf("%s, %d in flight: %w", d.name, n, err)
				}
				f.Round = first + round
				figures = append(figures, f)
			}
		}
	}
	return figures, nil
}

// ask asks a door for a time.
func ask(ctx context.Context, d door, n int, span time.Duration) (f figure, err error) {
	a, err := d.open(ctx, n)
	if err != nil {
		return f, err
	}
	defer a.close()
	if _, err := a.run(span / 10); err != nil { // connections are open and pools filled
		return f, err
	}
	own, redis, began := d.server.used(), d.redis.used(), time.Now()
	calls, err := a.run(span)
	if err != nil {
		return f, err
	}
	f = figure{Door: d.name, InFlight: n, Decisions: len(calls) * d.decisions, Elapsed: time.Since(began), Own: d.server.used() - own, Redis: d.redis.used() - redis}
	slices.Sort(calls)
	f.Median, f.P99 = calls[len(calls)/2], calls[len(calls)*99/100]
	return f, nil
}

// kept reads the figures of a file; none if there is no file.
func kept(file string) (figures []figure, err error) {
	text, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer text.Close()
	for from := json.NewDecoder(text); ; {
		var f figure
		if err := from.Decode(&f); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return figures, err
		}
		figures = append(figures, f)
	}
}

// add adds figures to a file.
func add(file string, figures []figure) error {
	if file == "" {
		return nil
	}
	text, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	to := json.NewEncoder(text)
	for i := range figures {
		if err := to.Encode(&figures[i]); err != nil {
			return errors.Join(err, text.Close())
		}
	}
	return text.Close()
}
