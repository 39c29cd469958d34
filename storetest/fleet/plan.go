package fleet

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/failover"
)

// Faults are what goes wrong in a run.
type Faults struct {
	Delay      time.Duration // of each message, at most
	Slow       float64       // how many messages take SlowBy longer, at most
	SlowBy     time.Duration
	Lose       float64 // how many messages are lost
	Patience   time.Duration
	Partitions []partition
	Crashes    []crash
	Drift      bool            // processes' clocks go faster or slower than the store's, by up to 900 millionths
	Losses     []time.Duration // when the store loses its state
	Steps      []step
}

// step is one of the store's clock.
type step struct{ at, by time.Duration }

type partition struct {
	process  int
	from, to time.Duration
}

// crash is the end of a process, and the time after which another one takes its place.
type crash struct {
	process   int
	at, pause time.Duration
}

// Plan is a run.
type Plan struct {
	Seed      uint64
	Processes int
	Callers   int // in each process
	Limits    []stint.Limit
	Keys      int
	Life      time.Duration
	MaxBlock  int64
	Lasts     time.Duration     // until the callers stop
	Storms    []storm           // if there are any, callers only trickle in between
	Failover  *failover.Options // of a failover between the leases and the network; nil for none
	Pause     time.Duration     // between two calls of a caller in a hurry, about
	Begins    time.Time         // by the store's clock; the zero time is when bubbles begin
	Faults    Faults
}

// storm is a moment at which all callers call as often as they are let, after a while in which they only trickle, so that leases
// are neither used up nor given back as idle, and before that have made them grow. One at an edge begins a millisecond before the
// end of a window of the first limit.
type storm struct {
	grow, at time.Duration
	edge     bool
}

// Waters are what a fleet meets besides the faults that every one does.
type Waters struct {
	Losses   bool            // the store loses its state
	Steps    bool            // its clock steps
	Failover bool            // there is a failover between the leases and the network
	Choice   failover.Choice // of that
}

// Draw is the plan of a seed.
func Draw(seed uint64, w Waters) Plan {
	random := rand.New(rand.NewPCG(seed, 0x5717))
	between := func(a, b time.Duration) time.Duration { return a + time.Duration(random.Int64N(int64(b-a)+1)) }
	p := Plan{
		Seed:      seed,
		Processes: 1 + random.IntN(5),
		Callers:   1 + random.IntN(3),
		Keys:      1 + random.IntN(2),
		Life:      between(100*time.Millisecond, 1200*time.Millisecond),
		MaxBlock:  1 << random.IntN(9),
		Lasts:     between(3*time.Second, 6*time.Second),
	}
	// About the number of calls: a run of more than a few thousand takes long and shows no more.
	p.Pause = between(5*time.Millisecond, 40*time.Millisecond) * time.Duration(p.Processes*p.Callers) / 4
	for i := range 1 + random.IntN(2) {
		p.Limits = append(p.Limits, drawLimit(random, i))
	}
	f := &p.Faults
	f.Delay = between(0, 20*time.Millisecond)
	f.Patience = between(50*time.Millisecond, 800*time.Millisecond)
	if random.IntN(2) == 0 {
		f.Slow, f.SlowBy = 0.2*random.Float64(), between(0, 1500*time.Millisecond)
	}
	if random.IntN(2) == 0 {
		f.Lose = 0.1 * random.Float64()
	}
	for random.IntN(3) == 0 {
		from := between(0, p.Lasts)
		f.Partitions = append(f.Partitions, partition{random.IntN(p.Processes), from, from + between(0, p.Lasts/2)})
	}
	for random.IntN(3) == 0 {
		f.Crashes = append(f.Crashes, crash{random.IntN(p.Processes), between(0, p.Lasts), between(0, time.Second)})
	}
	f.Drift = random.IntN(2) == 0
	if _, calendar := p.Limits[0].Strategy.(stint.CalendarWindow); !calendar && random.IntN(4) == 0 {
		p.drawStorms(random, between)
	}
	for _, l := range p.Limits {
		if c, ok := l.Strategy.(stint.CalendarWindow); ok {
			p.Begins = edges[random.IntN(len(edges))](c.Zone).Add(-between(0, p.Lasts))
		}
	}
	for w.Steps && (len(f.Steps) == 0 || random.IntN(2) == 0) {
		by := between(-2*p.Life, 3*p.Life)
		if random.IntN(5) == 0 {
			by = between(-time.Hour, time.Hour)
		}
		f.Steps = append(f.Steps, step{between(0, p.Lasts), by})
	}
	for w.Losses && (len(f.Losses) == 0 || random.IntN(2) == 0) {
		f.Losses = append(f.Losses, between(0, p.Lasts))
	}
	if w.Failover {
		p.Failover = &failover.Options{
			Timeout: between(5*time.Millisecond, 200*time.Millisecond), Default: w.Choice, Instances: p.Processes,
			Failures: 1 + random.IntN(4), Retry: between(50*time.Millisecond, 500*time.Millisecond), Probes: 1 + random.IntN(3),
		}
	}
	return p
}

// drawStorms makes of the plan one of storms, under a limit that is large enough for leases to grow to their most. A bucket may be
// full again before a storm while what the leases hold is more than it is refilled in their life: as near to the bound as it gets.
func (p *Plan) drawStorms(random *rand.Rand, between func(a, b time.Duration) time.Duration) {
	p.Callers, p.MaxBlock = 1, 4<<random.IntN(3)
	held := p.MaxBlock * int64(p.Processes)
	l := &p.Limits[0]
	fill := l.Per
	switch l.Strategy.(type) {
	case stint.TokenBucket:
		l.Burst, l.Units, l.Per = 16*held, max(1, held*(30+random.Int64N(60))/100), p.Life.Truncate(stint.Tick)
		fill = time.Duration(l.Burst) * l.Per / time.Duration(l.Units)
	case stint.IntervalBucket:
		l.Burst, l.Units = 16*held, 2*held
	default:
		l.Units = 16 * held
	}
	p.Lasts = 0
	for range 3 {
		s := storm{grow: p.Lasts + fill + p.Life, edge: random.IntN(2) == 0}
		s.at = s.grow + between(0, 5*p.Life)
		p.Storms = append(p.Storms, s)
		p.Lasts = s.at + 2*p.Life
	}
	if random.IntN(2) == 0 {
		p.Faults.Delay /= 200 // the same rack
	}
}

// drawLimit is a limit that such a fleet soon meets.
func drawLimit(random *rand.Rand, i int) stint.Limit {
	n := 5 + random.Int64N(300)
	l := stint.Limit{ID: fmt.Sprint("limit", i), Units: n, Per: time.Duration(300+random.Int64N(3000)) * time.Millisecond}
	switch random.IntN(6) {
	case 5:
		zone := zones[random.IntN(len(zones))]
		l = [...]func(int64, *time.Location) stint.Limit{stint.PerCalendarDay, stint.PerCalendarWeek, stint.PerCalendarMonth}[random.IntN(3)](n, zone).WithID(l.ID)
	case 0, 1:
		l.Burst, l.Strategy = 1+random.Int64N(n), stint.TokenBucket{}
	case 2, 3:
		l.Strategy = stint.FixedWindow{}
	default:
		l.Burst, l.Strategy = n+random.Int64N(n), stint.IntervalBucket{}
	}
	return l
}

// zones are of the calendar windows: in one of them clocks change at midnight.
var zones = []*time.Location{time.UTC, zone("America/New_York"), zone("America/Asuncion"), zone("Asia/Kathmandu")}

func zone(name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return z
}

// edges are ends of calendar windows in a zone: of a day, a week and a month, and of the days when Asuncion's clocks went ahead from
// midnight to one, and back from midnight to eleven.
var edges = []func(z *time.Location) time.Time{
	func(z *time.Location) time.Time { return time.Date(2024, 5, 15, 0, 0, 0, 0, z) },
	func(z *time.Location) time.Time { return time.Date(2024, 5, 20, 0, 0, 0, 0, z) },
	func(z *time.Location) time.Time { return time.Date(2024, 3, 1, 0, 0, 0, 0, z) },
	func(z *time.Location) time.Time { return time.Date(2023, 10, 1, 0, 0, 0, 0, z) },
	func(z *time.Location) time.Time { return time.Date(2024, 3, 24, 0, 0, 0, 0, z) },
}
