package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batch"
	"github.com/stint-go/stint/deny"
	"github.com/stint-go/stint/lease"
	"github.com/stint-go/stint/redisstore"
)

// RedisRow is a situation to put limiters on one Redis server in: so many callers, each of which asks for one unit at a time.
type RedisRow struct {
	Name    string
	Callers int
	Keys    int
	Refused bool // the keys have nothing left
}

// RedisRows are the situations compared.
func RedisRows(keys int) []RedisRow {
	return []RedisRow{
		{"one hot key, 1 caller", 1, 1, false},
		{"one hot key, 16 callers", 16, 1, false},
		{"one hot key, 64 callers", 64, 1, false},
		{count(keys) + " keys, 1 caller", 1, keys, false},
		{count(keys) + " keys, 16 callers", 16, keys, false},
		{count(keys) + " keys, 64 callers", 64, keys, false},
		{"one hot key that has nothing left, 64 callers", 64, 1, true},
	}
}

// RedisContestant is one way to decide on Redis. Decide says whether it grants one unit of a key. Make makes a limit that is never
// used up, or one that is by the first call.
type RedisContestant struct {
	Name string
	Make func(address string, small bool) (decide func(ctx context.Context, key string) (bool, error), done func(), err error)
}

// RedisContestants are the peer and ours, each through its public API. All but leases are exact; those are within their bound.
func RedisContestants() []RedisContestant {
	return []RedisContestant{
		{"redis_rate", redisRate},
		{"Stint", stintOn(alone)},
		{"Stint, batch", stintOn(inBatches(batch.Options{}))},
		{"Stint, batch of four shards", stintOn(inBatches(batch.Options{Shards: 4}))},
		{"Stint, deny and batch", stintOn(remembering)},
		{"Stint, leases of up to 100", stintOn(leased(100))},
		{"Stint, leases of up to 1000", stintOn(leased(1000))},
	}
}

func redisRate(address string, small bool) (func(context.Context, string) (bool, error), func(), error) {
	c := redis.NewClient(&redis.Options{Addr: address, PoolSize: 64})
	l := redis_rate.NewLimiter(c)
	limit := redis_rate.Limit{Rate: 1_000_000, Period: time.Second, Burst: 100_000_000}
	if small {
		limit = redis_rate.Limit{Rate: 1, Period: 24 * time.Hour, Burst: 1}
	}
	decide := func(ctx context.Context, key string) (bool, error) {
		r, err := l.Allow(ctx, key, limit)
		return err == nil && r.Allowed == 1, err
	}
	return decide, func() { c.Close() }, nil
}

// The stores around the shared one.
func alone(s stint.Store) (stint.Store, error) { return s, nil }

func inBatches(o batch.Options) func(stint.Store) (stint.Store, error) {
	return func(s stint.Store) (stint.Store, error) { return batch.New(s, o) }
}

func remembering(s stint.Store) (stint.Store, error) {
	merged, err := batch.New(s, batch.Options{})
	if err != nil {
		return nil, err
	}
	return deny.New(merged, deny.Options{})
}

func leased(most int64) func(stint.Store) (stint.Store, error) {
	return func(s stint.Store) (stint.Store, error) { return lease.New(s, lease.Options{MaxBlock: most}) }
}

// stintOn is a limiter of ours on a store around the shared one.
func stintOn(around func(stint.Store) (stint.Store, error)) func(string, bool) (func(context.Context, string) (bool, error), func(), error) {
	return func(address string, small bool) (func(context.Context, string) (bool, error), func(), error) {
		shared, err := redisstore.Open(context.Background(), "redis://"+address+"?pool=64", redisstore.Options{Timeout: 10 * time.Second})
		if err != nil {
			return nil, nil, err
		}
		store, err := around(shared)
		if err != nil {
			return nil, nil, err
		}
		limit := stint.Limit{ID: "bench", Units: 1_000_000, Per: time.Second, Burst: 100_000_000}
		if small {
			limit = stint.PerDay(1).WithBurst(1).WithID("bench-small")
		}
		l, err := stint.NewWith(stint.Options{Store: store}, limit)
		if err != nil {
			return nil, nil, err
		}
		decide := func(ctx context.Context, key string) (bool, error) {
			d, err := l.Take(ctx, key, 1)
			return d.Allowed, err
		}
		return decide, func() { store.Close() }, nil
	}
}

// RedisFigures are what one contestant did in a row: one of each for every round.
type RedisFigures struct {
	Contestant string
	Rates      []float64 // decisions a second
	CPU        []float64 // the server's, µs a decision
	P50, P99   []float64 // of a call, µs
}

// Run puts the contestants through the row in interleaved rounds, on one server.
func (r RedisRow) Run(server *RedisServer, contestants []RedisContestant, e Effort) ([]*RedisFigures, error) {
	figures := make([]*RedisFigures, len(contestants))
	decide := make([]func(context.Context, string) (bool, error), len(contestants))
	for i, c := range contestants {
		figures[i] = &RedisFigures{Contestant: c.Name}
		f, done, err := c.Make(server.Address, r.Refused)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		defer done()
		decide[i] = f
		for k := range min(r.Keys, 20_000) { // most keys are there
			if _, err := f(context.Background(), redisKey(k)); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	order := rand.New(rand.NewPCG(5, uint64(e.Rounds)))
	for range e.Rounds {
		for _, i := range order.Perm(len(contestants)) {
			if err := r.round(server, decide[i], e.Slice, figures[i]); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", r.Name, figures[i].Contestant, err)
			}
		}
	}
	return figures, nil
}

// round lets the callers ask for a slice of time.
func (r RedisRow) round(server *RedisServer, decide func(context.Context, string) (bool, error), slice time.Duration, into *RedisFigures) error {
	before, err := server.CPU()
	if err != nil {
		return err
	}
	var failed atomic.Pointer[error]
	times := make([][]float64, r.Callers) // µs
	began := time.Now()
	var callers sync.WaitGroup
	for i := range r.Callers {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), uint64(began.UnixNano())))
			for last := began; last.Sub(began) < slice; {
				granted, err := decide(context.Background(), redisKey(random.IntN(r.Keys)))
				if err == nil && granted == r.Refused {
					err = fmt.Errorf("a wrong decision: granted is %v", granted)
				}
				if err != nil {
					failed.Store(&err)
					return
				}
				now := time.Now()
				times[i] = append(times[i], float64(now.Sub(last).Nanoseconds())/1e3)
				last = now
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
	all := slices.Concat(times...)
	n := float64(len(all))
	into.Rates = append(into.Rates, n/took.Seconds())
	into.CPU = append(into.CPU, float64((after-before).Microseconds())/n)
	into.P50 = append(into.P50, quantile(all, 0.5))
	into.P99 = append(into.P99, quantile(all, 0.99))
	return nil
}

func redisKey(i int) string { return "user-" + strconv.Itoa(i) }

// RedisTable shows each contestant beside the first: ratios are of the same round, and the median of the rounds is shown.
func RedisTable(r RedisRow, figures []*RedisFigures) string {
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

// RedisServer is a server for one run, on a socket's port of the loopback interface.
type RedisServer struct {
	Address string
	command *exec.Cmd
	client  *redis.Client
	dir     string
}

// StartRedis starts redis-server without persistence.
func StartRedis(ctx context.Context) (*RedisServer, error) {
	dir, err := os.MkdirTemp("", "stint-bench-")
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	s := &RedisServer{Address: "127.0.0.1:" + strconv.Itoa(port), dir: dir}
	s.command = exec.CommandContext(ctx, "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--dir", dir)
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.Address})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if err = s.client.Ping(ctx).Err(); err == nil || time.Now().After(deadline) {
			return s, err
		}
	}
}

// CPU is the time that the server has used.
func (s *RedisServer) CPU() (time.Duration, error) {
	info, err := s.client.Info(context.Background(), "cpu").Result()
	if err != nil {
		return 0, err
	}
	used := 0.0
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name != "used_cpu_user" && name != "used_cpu_sys" {
			continue
		}
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		used += seconds
	}
	return time.Duration(used * float64(time.Second)), nil
}

// Close ends the server.
func (s *RedisServer) Close() error {
	s.client.Close()
	_ = s.command.Process.Kill() // it may have ended by itself
	_ = s.command.Wait()         // it was killed, which is an error
	return os.RemoveAll(s.dir)
}
