package bench

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Row is a situation to put limiters in.
type Row struct {
	Name       string
	Goroutines int
	Limit      Limit

	// Keys is how many keys there are. Before the clock starts each is asked for once, or Before times, except where Fresh is
	// set: there each round begins with an empty limiter and asks for each key once, its growth and the garbage collector's
	// work included.
	Keys   int
	Before int
	Fresh  bool

	// Refused says that every call is to be refused; otherwise every call is to be granted.
	Refused bool

	// Stream makes the keys in the order in which they are asked for.
	Stream func(keys int) []string
}

// The limits of the rows. The first is never used up. Under the second, units come back so slowly that each key stays live for the
// whole run; under the third every key is used up by its first call.
var (
	hot  = Limit{Every: time.Microsecond, Burst: 1e12}
	live = Limit{Every: 100 * time.Second, Burst: 1e7}
	full = Limit{Every: time.Hour, Burst: 1}
)

// Rows are the situations compared, with so many keys (and new ones) where there are many.
func Rows(many, fresh int) []Row {
	return []Row{
		{Name: "one key, 1 goroutine", Goroutines: 1, Limit: hot, Keys: 1, Stream: one},
		{Name: "one hot key, 2 goroutines", Goroutines: 2, Limit: hot, Keys: 1, Stream: one},
		{Name: count(many) + " keys, 1 goroutine", Goroutines: 1, Limit: live, Keys: many, Stream: uniform},
		{Name: count(many) + " keys, 2 goroutines", Goroutines: 2, Limit: live, Keys: many, Stream: uniform},
		{Name: count(many) + " keys, zipf 1.1, 2 goroutines", Goroutines: 2, Limit: live, Keys: many, Stream: zipf},
		{Name: "refused, " + count(many) + " keys, 2 goroutines", Goroutines: 2, Limit: full, Keys: many, Stream: uniform, Refused: true},
		{Name: "a new key, 2 goroutines", Goroutines: 2, Limit: live, Keys: fresh, Stream: uniform, Fresh: true},
	}
}

// Effort is how much a run does.
type Effort struct {
	Rounds int
	Slice  time.Duration // how long each contestant runs in a round
}

// Figures are what one contestant did in a row: ns a decision in each round, allocations a decision, and decisions that came out
// other than they should.
type Figures struct {
	Contestant Contestant
	Rounds     []float64
	Allocs     float64
	Wrong      int
	Decided    int
}

// Median is the middle of the rounds.
func (f *Figures) Median() float64 { return quantile(f.Rounds, 0.5) }

// Least is the fastest round, which no other program disturbed.
func (f *Figures) Least() float64 { return slices.Min(f.Rounds) }

// Run puts the contestants through the row, in an order that changes with every round.
func (r Row) Run(contestants []Contestant, e Effort) ([]*Figures, error) {
	stream, fill := r.streams()
	var runners []*runner
	for _, c := range contestants {
		if c.OneKey && r.Keys > 1 {
			continue
		}
		p := &runner{row: r, stream: stream, figures: &Figures{Contestant: c}}
		if err := p.start(fill); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", r.Name, c.Name, err)
		}
		defer p.close()
		p.calibrate(e.Slice)
		runners = append(runners, p)
	}
	order := rand.New(rand.NewPCG(3, uint64(e.Rounds)))
	for range e.Rounds {
		runtime.GC()
		for _, i := range order.Perm(len(runners)) {
			if err := runners[i].round(); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", r.Name, runners[i].figures.Contestant.Name, err)
			}
		}
	}
	figures := make([]*Figures, len(runners))
	for i, p := range runners {
		p.figures.Allocs /= float64(p.figures.Decided)
		figures[i] = p.figures
	}
	return figures, nil
}

// streams are the keys to ask for, and those to fill a limiter with beforehand.
func (r Row) streams() (stream, fill []string) {
	if !r.Fresh {
		fill = inOrder(r.Keys)
	}
	return r.Stream(r.Keys), fill
}

// runner takes one contestant through one row.
type runner struct {
	row     Row
	stream  []string
	subject *Subject
	decide  []Decider // one for each goroutine
	next    atomic.Int64
	size    int // decisions a round
	figures *Figures
}

// start makes the limiter and fills it.
func (p *runner) start(fill []string) error {
	if err := p.renew(); err != nil {
		return err
	}
	for range max(1, p.row.Before) {
		p.decide[0](fill)
	}
	return nil
}

// calibrate finds out how much the limiter does in a slice.
func (p *runner) calibrate(slice time.Duration) {
	if p.row.Fresh {
		p.size = len(p.stream)
		return
	}
	const trial = 16 * block
	took, _ := p.run(trial)
	p.size = max(trial/4, int(trial*float64(slice)/float64(took))/block*block)
}

// renew makes a new limiter.
func (p *runner) renew() error {
	p.close()
	var err error
	if p.subject, err = p.figures.Contestant.New(p.row.Limit); err != nil {
		return err
	}
	p.decide = make([]Decider, p.row.Goroutines)
	for i := range p.decide {
		p.decide[i] = p.subject.NewDecider()
	}
	return nil
}

func (p *runner) close() {
	if p.subject != nil {
		p.subject.close()
	}
	p.subject, p.decide = nil, nil
}

func (p *runner) round() error {
	if p.row.Fresh {
		if err := p.renew(); err != nil {
			return err
		}
		p.next.Store(0)
		runtime.GC()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	took, granted := p.run(p.size)
	runtime.ReadMemStats(&after)

	f := p.figures
	f.Rounds = append(f.Rounds, float64(took)/float64(p.size))
	f.Allocs += float64(after.Mallocs - before.Mallocs)
	f.Decided += p.size
	if p.row.Refused {
		f.Wrong += granted
	} else {
		f.Wrong += p.size - granted
	}
	return nil
}

// block is how many keys a goroutine draws from the stream at a time.
const block = 256

// run decides the next n keys of the stream, which goes around, on all goroutines.
func (p *runner) run(n int) (took time.Duration, granted int) {
	first := p.next.Load()
	end := first + int64(n)
	var total atomic.Int64
	work := func(decide Decider) {
		mine := 0
		for {
			from := p.next.Add(block) - block
			if from >= end {
				break
			}
			at := int(from) % len(p.stream)
			size := min(block, int(end-from))
			for size > 0 {
				part := p.stream[at:min(at+size, len(p.stream))]
				mine += decide(part)
				size, at = size-len(part), 0
			}
		}
		total.Add(int64(mine))
	}
	if len(p.decide) == 1 {
		began := time.Now()
		work(p.decide[0])
		took = time.Since(began)
	} else {
		var ready, done sync.WaitGroup
		gate := make(chan struct{})
		for _, decide := range p.decide {
			ready.Add(1)
			done.Go(func() {
				ready.Done()
				<-gate
				work(decide)
			})
		}
		ready.Wait()
		began := time.Now()
		close(gate)
		done.Wait()
		took = time.Since(began)
	}
	p.next.Store(end)
	return took, int(total.Load())
}

// quantile is the q-th part of the values in order.
func quantile(values []float64, q float64) float64 {
	ordered := slices.Sorted(slices.Values(values))
	return ordered[int(q*float64(len(ordered)-1)+0.5)]
}

// count writes a number of keys as people say it.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	default:
		return fmt.Sprint(n)
	}
}
