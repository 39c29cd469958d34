package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// SharedRow is a situation to put limiters on one shared server in: so many callers, each of which asks for one unit at a time.
type SharedRow struct {
	Name    string
	Callers int
	Keys    int
	Refused bool // the keys have nothing left
}

// SharedContestant is one way to decide on a shared server. Decide says whether it grants one unit of a key. Make makes a limit that is never
// used up, or one that is by the first call.
type SharedContestant struct {
	Name string
	Make func(address string, small bool) (decide func(ctx context.Context, key string) (bool, error), done func(), err error)
}

// SharedServer is a server that contestants share.
type SharedServer interface {
	// Where is its address, as contestants want it, and CPU the processor time that it has used.
	Where() string
	CPU() (time.Duration, error)
}

// SharedFigures are what one contestant did in a row: one of each for every round.
type SharedFigures struct {
	Contestant string
	Rates      []float64 // decisions a second
	CPU        []float64 // the server's, µs a decision
	P50, P99   []float64 // of a call, µs
}

// Run puts the contestants through the row in interleaved rounds, on one server.
func (r SharedRow) Run(server SharedServer, contestants []SharedContestant, e Effort) ([]*SharedFigures, error) {
	figures := make([]*SharedFigures, len(contestants))
	keys := sharedKeys(r.Keys)
	decide := make([]func(context.Context, string) (bool, error), len(contestants))
	for i, c := range contestants {
		figures[i] = &SharedFigures{Contestant: c.Name}
		f, done, err := c.Make(server.Where(), r.Refused)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		defer done()
		decide[i] = f
		for _, key := range keys[:min(r.Keys, 20_000)] { // most keys are there
			if _, err := f(context.Background(), key); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	order := rand.New(rand.NewPCG(5, uint64(e.Rounds)))
	for range e.Rounds {
		for _, i := range order.Perm(len(contestants)) {
			if err := r.round(server, decide[i], keys, e.Slice, figures[i]); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", r.Name, figures[i].Contestant, err)
			}
		}
	}
	return figures, nil
}

// timedEvery is how many calls come to one that is timed: reading the clock costs as much as a decision from memory.
const timedEvery = 8

// round lets the callers ask for a slice of time.
func (r SharedRow) round(server SharedServer, decide func(context.Context, string) (bool, error), keys []string, slice time.Duration, into *SharedFigures) error {
	before, err := server.CPU()
	if err != nil {
		return err
	}
	var failed atomic.Pointer[error]
	times := make([][]float64, r.Callers) // µs, of the calls that were timed
	counts := make([]int, r.Callers)
	began := time.Now()
	var callers sync.WaitGroup
	for i := range r.Callers {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), uint64(began.UnixNano())))
			for last, n := began, 0; last.Sub(began) < slice; n++ {
				timed := n%timedEvery == 0
				var before time.Time
				if timed {
					before = time.Now()
				}
				granted, err := decide(context.Background(), keys[random.IntN(r.Keys)])
				if err == nil && granted == r.Refused {
					err = fmt.Errorf("a wrong decision: granted is %v", granted)
				}
				if err != nil {
					failed.Store(&err)
					return
				}
				if counts[i]++; timed {
					last = time.Now()
					times[i] = append(times[i], float64(last.Sub(before).Nanoseconds())/1e3)
				}
			}
		})
	}
	callers.Wait()
	took := time.Since(began)
	if err := failed.Load(); err != nil {
		return *err
	}
	after, err := server.CPU()
	if err != nil {
		return err
	}
	all, n := slices.Concat(times...), 0.0
	for _, count := range counts {
		n += float64(count)
	}
	into.Rates = append(into.Rates, n/took.Seconds())
	into.CPU = append(into.CPU, float64((after-before).Microseconds())/n)
	into.P50 = append(into.P50, quantile(all, 0.5))
	into.P99 = append(into.P99, quantile(all, 0.99))
	return nil
}

func sharedKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "user-" + strconv.Itoa(i)
	}
	return keys
}

// SharedTable shows each contestant beside the first: ratios are of the same round, and the median of the rounds is shown.
func SharedTable(r SharedRow, figures []*SharedFigures) string {
	first := figures[0]
	t := NewTable(r.Name, "decisions/s", "× "+first.Contestant, "server's CPU, µs a decision", "× "+first.Contestant, "p50, ms", "p99, ms")
	for _, f := range figures {
		t.Line(f.Contestant, fmt.Sprintf("%.0f", quantile(f.Rates, 0.5)), fmt.Sprintf("%.2f", pairs(f.Rates, first.Rates)),
			fmt.Sprintf("%.2f", quantile(f.CPU, 0.5)), fmt.Sprintf("%.3f", pairs(f.CPU, first.CPU)),
			fmt.Sprintf("%.2f", quantile(f.P50, 0.5)/1e3), fmt.Sprintf("%.2f", quantile(f.P99, 0.5)/1e3))
	}
	return t.String()
}

// pairs is the median of the ratios of the rounds.
func pairs(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return quantile(ratios, 0.5)
}
