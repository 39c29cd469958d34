package bench

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batch"
	"github.com/stint-go/stint/deny"
	"github.com/stint-go/stint/lease"
	"github.com/stint-go/stint/redisstore"
)

// RedisRows are the situations compared.
func RedisRows(keys int) []SharedRow {
	return []SharedRow{
		{"one hot key, 1 caller", 1, 1, false},
		{"one hot key, 16 callers", 16, 1, false},
		{"one hot key, 64 callers", 64, 1, false},
		{count(keys) + " keys, 1 caller", 1, keys, false},
		{count(keys) + " keys, 16 callers", 16, keys, false},
		{count(keys) + " keys, 64 callers", 64, keys, false},
		{"one hot key that has nothing left, 64 callers", 64, 1, true},
	}
}

// RedisContestants are the peer and ours, each through its public API. All but leases are exact; those are within their bound.
func RedisContestants() []SharedContestant {
	return []SharedContestant{
		{"redis_rate", redisRate},
		{"Stint", stintOn(alone)},
		{"Stint, batch", stintOn(inBatches(batch.Options{}))},
		{"Stint, batch of four shards", stintOn(inBatches(batch.Options{Shards: 4}))},
		{"Stint, deny and batch", stintOn(remembering)},
		{"Stint, leases of up to 100", stintOn(leased(100))},
		{"Stint, leases of up to 1000", stintOn(leased(1000))},
	}
}

// RedisPairRows are the situations in which each caller asks for one unit of two limits at once.
func RedisPairRows(keys int) []SharedRow {
	return []SharedRow{
		{"two limits, one hot key, 1 caller", 1, 1, false},
		{"two limits, one hot key, 64 callers", 64, 1, false},
		{"two limits, " + count(keys) + " keys, 64 callers", 64, keys, false},
	}
}

// RedisPairContestants are the peer, which asks for one after the other and may be left with the first only, and ours, which take
// both or none.
func RedisPairContestants() []SharedContestant {
	second := stint.PerDay(1_000_000_000).WithBurst(1_000_000_000).WithID("bench-day")
	return []SharedContestant{
		{"redis_rate, two calls", redisRatePair},
		{"Stint", stintOn(alone, second)},
		{"Stint, batch", stintOn(inBatches(batch.Options{}), second)},
	}
}

func redisRatePair(address string, small bool) (func(context.Context, string) (bool, error), func(), error) {
	decide, done, err := redisRate(address, small)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, key string) (bool, error) {
		if granted, err := decide(ctx, key); err != nil || !granted {
			return false, err
		}
		return decide(ctx, "day:"+key)
	}, done, nil
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

// around puts stores around the shared one.
type around = func(stint.Store) (stint.Store, error)

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

// stintOn is a limiter of ours on a store around the shared one, with further limits beside the one that all have.
func stintOn(around around, further ...stint.Limit) func(string, bool) (func(context.Context, string) (bool, error), func(), error) {
	return func(address string, small bool) (func(context.Context, string) (bool, error), func(), error) {
		if !strings.Contains(address, "://") {
			address = "redis://" + address
		}
		shared, err := redisstore.Open(context.Background(), address+"?pool=64", redisstore.Options{Timeout: 10 * time.Second})
		if err != nil {
			return nil, nil, err
		}
		return decider(shared, around, small, further...)
	}
}

// decider decides by limits of ours on a store around a shared one.
func decider(shared stint.Store, around around, small bool, further ...stint.Limit) (func(context.Context, string) (bool, error), func(), error) {
	store, err := around(shared)
	if err != nil {
		return nil, nil, err
	}
	limit := stint.Limit{ID: "bench", Units: 1_000_000, Per: time.Second, Burst: 100_000_000}
	if small {
		limit = stint.PerDay(1).WithBurst(1).WithID("bench-small")
	}
	l, err := stint.NewWith(stint.Options{Store: store}, append(further, limit)...)
	if err != nil {
		return nil, nil, err
	}
	decide := func(ctx context.Context, key string) (bool, error) {
		d, err := l.Take(ctx, key, 1)
		return d.Allowed, err
	}
	return decide, func() { store.Close() }, nil
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

// Where is the server's address.
func (s *RedisServer) Where() string { return s.Address }

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
