package usage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/stint-go/stint/service/database"
)

// Options say how usage is kept. The zero value is ready to use.
type Options struct {
	// Every is how often counts are written: what a kill loses at most. Default: 1 s.
	Every time.Duration

	// MaxCells bounds what is kept in memory until it is written: so many users, keys, routes and seconds. Default: 1,000,000.
	MaxCells int

	// Keep is how long rows of each step are kept. Default: seconds for an hour, minutes for 2 days, hours for 90 days, days for 2 years.
	Keep map[Step]time.Duration

	// Log is told, at most every 10 s, that counts cannot be written. Default: nobody is.
	Log *slog.Logger

	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

func (o *Options) validate() error {
	if o.Every < 0 || o.MaxCells < 0 {
		return errors.New("usage: a bound is negative; 0 takes the default")
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.MaxCells == 0 {
		o.MaxCells = 1_000_000
	}
	keep := map[Step]time.Duration{Second: time.Hour, Minute: 48 * time.Hour, Hour: 90 * day, Day: 730 * day}
	for step, d := range o.Keep {
		if _, known := keep[step]; !known || d <= 0 {
			return errors.New("usage: Keep has a step that is not known, or a time that is not positive")
		}
		keep[step] = d
	}
	o.Keep = keep
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// wall is the machine's clock at half the cost of time.Now: it leads on from when it was set, and is set anew with every writing, since
// the machine's may have been put right or have stood still meanwhile.
type wall struct{ set atomic.Pointer[time.Time] }

func (w *wall) reset() {
	now := time.Now()
	w.set.Store(&now)
}

func (w *wall) now() time.Time {
	set := w.set.Load()
	return set.Add(time.Since(*set))
}

const day = 24 * time.Hour

// Step is the length of the span that a row counts.
type Step int64

// The steps, in seconds.
const (
	Second Step = 1
	Minute Step = 60
	Hour   Step = 3600
	Day    Step = 86400
)

var steps = [...]Step{Second, Minute, Hour, Day}

// start is the beginning of the step that an instant lies in.
func (s Step) start(second int64) int64 { return second - (second%int64(s)+int64(s))%int64(s) }

// Of is what is counted by.
type Of struct{ User, Key, Route string }

// Counts are what was counted.
type Counts struct{ Admitted, Refused, Units int64 }

func (c *Counts) add(other Counts) {
	c.Admitted += other.Admitted
	c.Refused += other.Refused
	c.Units = sum(c.Units, other.Units)
}

// sum is a sum that stays at the greatest number there is: one call may cost 2^53 units, and a thousand of them would pass it.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// cell is a place for counts: in memory a second or, where seconds were merged, a minute.
type cell struct {
	of   Of
	step Step
	at   int64
}

// Recorder counts. It is safe for concurrent use; close it before the database.
type Recorder struct {
	db       *database.DB
	options  Options
	wall     wall
	seed     maphash.Seed
	instance string
	top      [topKinds]sketch
	queries  chan struct{} // the places of queries that ask the database
	shards   [shards]shard

	writing sync.Mutex   // one writing at a time
	moving  sync.RWMutex // counts are on their way from the shards to pending
	pending
	lost, written, failed atomic.Int64
	behind                atomic.Bool // the last writing failed
	told                  time.Time
}

// maxQueries is how many queries ask the database at a time; others wait. The connections are also those by which API keys are looked up.
const maxQueries = 2

// shards is how many parts the counters have, so that calls seldom meet.
const shards = 32

type shard struct {
	mu       sync.Mutex
	cells    map[cell]*Counts
	latest   *Counts // of latestAt: calls of one key come together; nil if that is nowhere
	latestAt cell
	_        [64]byte
}

// New counts into a database.
func New(db *database.DB, o Options) (*Recorder, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // which cannot fail
	r := &Recorder{db: db, options: o, seed: maphash.MakeSeed(), instance: hex.EncodeToString(id[:]), queries: make(chan struct{}, maxQueries)}
	if o.Now == nil {
		r.options.Now = r.wall.now
	}
	r.wall.reset()
	for i := range r.shards {
		r.shards[i].cells = map[cell]*Counts{}
	}
	r.pending.cells = map[cell]Counts{}
	for i := range r.top {
		r.top[i].init()
	}
	return r, nil
}

// The longest names that are kept, in bytes: as the tables have them.
const (
	maxUser  = 128
	maxKey   = 16
	maxRoute = 128
)

// kept is a name as every database takes it: one that is refused would hold all others back with it. Users and limits may be named by
// whoever asks the decision API.
func kept(name string, most int) string {
	if len(name) <= most && strings.IndexByte(name, 0) < 0 && utf8.ValidString(name) {
		return name
	}
	return strings.ToValidUTF8(strings.ReplaceAll(name[:min(len(name), most)], "\x00", ""), "")
}

// Count counts a call. Units are what it took; of a refused call they do not count. Names are kept up to 128 bytes.
func (r *Recorder) Count(of Of, admitted bool, units int64) {
	now := r.options.Now().Unix()
	by := of.Key
	if by == "" {
		by = of.User
	}
	s := &r.shards[maphash.String(r.seed, by)%shards]
	at := cell{of, Second, now}
	s.mu.Lock()
	c := s.latest
	if c == nil || s.latestAt != at {
		if c = s.cells[at]; c == nil { // no name that is there needs to be looked at
			at.of = Of{kept(of.User, maxUser), kept(of.Key, maxKey), kept(of.Route, maxRoute)}
			c = s.cells[at]
		}
		s.latest, s.latestAt = c, at
	}
	if c == nil {
		if len(s.cells) >= r.options.MaxCells/shards+1 {
			s.mu.Unlock()
			r.lost.Add(1)
			return
		}
		c = new(Counts)
		s.cells[at], s.latest = c, c
	}
	if admitted {
		c.Admitted++
		c.Units = sum(c.Units, units)
	} else {
		c.Refused++
	}
	s.mu.Unlock()
	if !admitted {
		r.refused(at.of, now)
	}
}

// Gather brings together what has been counted, by minutes if there is much of it. Flush does so, too: call it where there is no database
// to flush to yet, since what is not gathered has little room.
func (r *Recorder) Gather() {
	r.moving.Lock()
	defer r.moving.Unlock()
	r.lost.Add(r.pending.add(r.take(), r.options.MaxCells))
}

// take takes the cells of all shards away.
func (r *Recorder) take() map[cell]Counts {
	taken := map[cell]Counts{}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		var cells map[cell]*Counts
		if len(s.cells) > 0 {
			cells, s.cells = s.cells, make(map[cell]*Counts, len(s.cells))
			s.latest = nil
		}
		s.mu.Unlock()
		for at, c := range cells {
			sum := taken[at] // of a name that was cut the parts may be apart
			sum.add(*c)
			taken[at] = sum
		}
	}
	return taken
}

// Stats are counts of the recorder itself.
type Stats struct {
	Pending int   // cells that wait to be written
	Written int64 // rows written, or added to
	Failed  int64 // writings that failed
	Lost    int64 // calls that are not counted, since there was no room
	Behind  bool  // the last writing failed
}

// Stats are the counts.
func (r *Recorder) Stats() Stats {
	return Stats{r.pending.len(), r.written.Load(), r.failed.Load(), r.lost.Load(), r.behind.Load()}
}

// Run writes counts, and removes old rows, until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	flush, sweep := time.NewTicker(r.options.Every), time.NewTicker(sweepEvery)
	defer flush.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-flush.C:
			r.tell(ctx, r.Flush(ctx))
		case <-sweep.C:
			r.tell(ctx, r.Sweep(ctx))
		case <-ctx.Done():
			return
		}
	}
}

// tellEvery is how often a failure is told of.
const tellEvery = 10 * time.Second

// tell tells of a failure; not of one that the end brings about, after which Close writes what is left.
func (r *Recorder) tell(ctx context.Context, err error) {
	if now := r.options.Now(); err != nil && ctx.Err() == nil && now.Sub(r.told) >= tellEvery {
		r.told = now
		s := r.Stats()
		r.options.Log.Error("usage cannot be written, and is kept in memory until it can", "error", err, "pending", s.Pending, "lost", s.Lost)
	}
}

// Close writes what has been counted.
func (r *Recorder) Close(ctx context.Context) error { return r.Flush(ctx) }
