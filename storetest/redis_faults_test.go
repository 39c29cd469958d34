package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
	"github.com/stint-go/stint/redisstore"
	"github.com/stint-go/stint/storetest/servers"
	"go.uber.org/goleak"
)

// redisOpened is a store on a server.
func redisOpened(t testing.TB, address string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(context.Background(), address, redisstore.Options{Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// unchanging is a limit of n units under which nothing changes by itself while a test lasts.
func unchanging(t testing.TB, id string, n int64) *stint.Limit {
	t.Helper()
	l, err := stint.PerDay(n).WithStrategy(stint.IntervalBucket{}).WithID(fmt.Sprintf("%s-%s-%d", t.Name(), id, time.Now().UnixNano())).Compile()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// takes lets callers take one unit each until the store refuses or the test says that it is over, and counts what was granted.
func takes(s stint.Store, l *stint.Limit, callers, each int, failed func(error)) int64 {
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				a, _, err := s.One(context.Background(), l, "k", stint.TakeOp(1))
				if err != nil {
					failed(err)
				}
				granted.Add(a.Granted)
			}
		})
	}
	wg.Wait()
	return granted.Load()
}

// A server that forgets its scripts, again and again, is nobody's trouble.
func TestRedisScriptFlush(t *testing.T) {
	server := servers.Redis(t)
	s, c := redisOpened(t, server.Address()), server.Client()
	defer c.Close()
	over := make(chan struct{})
	var flushing sync.WaitGroup
	flushing.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				c.ScriptFlush(context.Background())
			}
		}
	})
	got := takes(s, unchanging(t, "flush", 300), 8, 50, func(err error) { t.Error(err) })
	close(over)
	flushing.Wait()
	if got != 300 {
		t.Errorf("%d units of 300 granted", got)
	}
}

// A server that became a replica does nothing, and says so within the deadline; when it is a master again all goes on.
func TestRedisReadOnlyReplica(t *testing.T) {
	master, server := servers.Redis(t), servers.NewRedis(t, servers.RedisOptions{})
	s, c := redisOpened(t, server.Address()), server.Client()
	defer c.Close()
	ctx := context.Background()
	l := unchanging(t, "replica", 2)
	one := func(limit time.Duration) (stint.Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		a, _, err := s.One(ctx, l, "k", stint.TakeOp(1))
		return a, err
	}
	if a, err := one(30 * time.Second); err != nil || a.Granted != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	if err := c.ReplicaOf(ctx, "127.0.0.1", fmt.Sprint(master.Port)).Err(); err != nil {
		t.Fatal(err)
	}
	// The last of its tries may be under way when time is up.
	noMaster := func(err error) bool {
		return errors.Is(err, redisstore.ErrUnreachable) || errors.Is(err, redisstore.ErrUnknown)
	}
	if a, err := one(3 * time.Second); !noMaster(err) || a.Granted != 0 {
		t.Errorf("a replica: %+v, %v", a, err)
	}
	if _, err := redisstore.Open(ctx, server.Address(), redisstore.Options{Timeout: 3 * time.Second}); !noMaster(err) {
		t.Errorf("a store on a replica: %v", err)
	}
	if err := c.ReplicaOf(ctx, "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := one(30 * time.Second); err != nil {
		t.Errorf("a master again: %v", err)
	}
}

// A server that is still loading its data is waited for, and what it loaded counts.
func TestRedisLoading(t *testing.T) {
	server := servers.NewRedis(t, servers.RedisOptions{})
	s, c := redisOpened(t, server.Address()), server.Client()
	defer c.Close()
	ctx := context.Background()
	l := unchanging(t, "loading", 3)
	if got := takes(s, l, 1, 3, func(err error) { t.Error(err) }); got != 3 {
		t.Fatalf("%d granted", got)
	}
	for i := range 2000 {
		c.Set(ctx, fmt.Sprint("filler", i), "x", 0)
	}
	if err := c.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.With("key-load-delay 250", "loading-process-events-interval-bytes 1024")
	server.Start(t)
	loading := c.Ping(ctx).Err()
	a, _, err := s.One(ctx, l, "k", stint.TakeOp(1))
	if err != nil || a.Granted != 0 || a.Wait <= 0 {
		t.Errorf("after loading (%v): %+v, %v", loading, a, err)
	}
	if loading == nil {
		t.Error("the server was not seen loading: the test shows nothing")
	}
}

// A server that hangs costs no more than the deadline, and the caller hears that nobody knows. One that is gone is said to be gone.
func TestRedisHangsAndDies(t *testing.T) {
	server := servers.NewRedis(t, servers.RedisOptions{})
	s := redisOpened(t, server.Address())
	l := unchanging(t, "hangs", 1000)
	takes(s, l, 2, 1, func(err error) { t.Fatal(err) })
	goOn := server.Hang()
	for _, call := range map[string]func(context.Context) error{
		"take":   func(ctx context.Context) error { _, _, err := s.One(ctx, l, "k", stint.TakeOp(1)); return err },
		"credit": func(ctx context.Context) error { _, _, err := s.One(ctx, l, "k", stint.CreditOp(1)); return err },
		"block":  func(ctx context.Context) error { return s.Block(ctx, l, "j", time.Second) },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		began := time.Now()
		err := call(ctx)
		cancel()
		if took := time.Since(began); err == nil || took > 10*time.Second {
			t.Errorf("a server that hangs: %v after %v", err, took)
		}
	}
	goOn()
	takes(s, l, 1, 1, func(err error) { t.Errorf("it goes on: %v", err) })
	server.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	takes(s, l, 0, 0, nil)
	if _, _, err := s.One(ctx, l, "k", stint.TakeOp(1)); !errors.Is(err, redisstore.ErrUnreachable) && !errors.Is(err, redisstore.ErrUnknown) {
		t.Errorf("a server that is gone: %v", err)
	}
	server.Start(t)
	takes(s, l, 1, 1, func(err error) { t.Errorf("it is back: %v", err) })
}

// What somebody else keeps under a key of ours is an error, and stays as it is.
func TestRedisForeignData(t *testing.T) {
	server := servers.NewRedis(t, servers.RedisOptions{})
	s, c := redisOpened(t, server.Address()), server.Client()
	defer c.Close()
	ctx := context.Background()
	for _, strategy := range []stint.Strategy{stint.TokenBucket{}, stint.IntervalBucket{}, stint.SlidingLog{}} {
		l, err := stint.PerDay(1000).WithStrategy(strategy).WithID(strategy.Name()).Compile()
		if err != nil {
			t.Fatal(err)
		}
		for i, c2 := range []struct {
			put  func(key string) error
			want error
		}{
			{func(key string) error { return c.Set(ctx, key, "\x07their own", 0).Err() }, record.ErrFormat},
			{func(key string) error { return c.Set(ctx, key, "\x02short", 0).Err() }, record.ErrDamaged},
			{func(key string) error { return c.Set(ctx, key, "\x03"+strings.Repeat("x", 50), 0).Err() }, record.ErrDamaged},
			{func(key string) error { return c.RPush(ctx, key, "a", "list").Err() }, redisstore.ErrForeign},
		} {
			name := fmt.Sprint("k", i)
			take(t, s, l, name)
			keys, err := c.Keys(ctx, "*"+l.ID+name).Result()
			if err != nil || len(keys) != 1 {
				t.Fatalf("%q, %v", keys, err)
			}
			c.Del(ctx, keys[0])
			if err := c2.put(keys[0]); err != nil {
				t.Fatal(err)
			}
			before := c.Dump(ctx, keys[0]).Val()
			if _, _, err := s.One(ctx, l, name, stint.TakeOp(1)); !errors.Is(err, c2.want) {
				t.Errorf("%s: %v, want %v", strategy.Name(), err, c2.want)
			}
			claims := []stint.Claim{stint.NewClaim(l, name, 1), stint.NewClaim(l, "other", 1)}
			if err := s.All(ctx, claims, make([]stint.Outcome, 2)); !errors.Is(err, c2.want) {
				t.Errorf("%s: all: %v, want %v", strategy.Name(), err, c2.want)
			}
			if after := c.Dump(ctx, keys[0]).Val(); after != before {
				t.Errorf("%s: %q became %q", strategy.Name(), before, after)
			}
		}
		if a, _, err := s.One(ctx, l, "other", stint.LookOp(1)); err != nil || a.Remaining != 1000 {
			t.Errorf("%s: a sibling was charged: %+v, %v", strategy.Name(), a, err)
		}
	}
}

// take takes one unit, which must be granted.
func take(t *testing.T, s stint.Store, l *stint.Limit, key string) {
	t.Helper()
	if a, _, err := s.One(context.Background(), l, key, stint.TakeOp(1)); err != nil || a.Granted != 1 {
		t.Fatalf("take of %s: %+v, %v", key, a, err)
	}
}

// A server that may evict live keys is refused, unless that is allowed; one that does not tell is warned of.
func TestRedisEviction(t *testing.T) {
	evicts := servers.NewRedis(t, servers.RedisOptions{Lines: []string{"maxmemory 100mb", "maxmemory-policy volatile-lru"}})
	_, err := redisstore.Open(context.Background(), evicts.Address(), redisstore.Options{})
	if err == nil || !strings.Contains(err.Error(), "volatile-lru") || !strings.Contains(err.Error(), "AllowEviction") {
		t.Errorf("a server that evicts: %v", err)
	}
	s, err := redisstore.Open(context.Background(), evicts.Address(), redisstore.Options{AllowEviction: true})
	if err != nil {
		t.Fatalf("and allowed: %v", err)
	}
	s.Close()
}

// Wrong passwords and missing privileges are said as such, and no password is in what is said.
func TestRedisPrivileges(t *testing.T) {
	const password = "s3cr3tw0rd"
	server := servers.NewRedis(t, servers.RedisOptions{Password: password, Lines: []string{
		"user limiter on >" + password + " ~stint:* +@all -config",
		"user stranger on >" + password + " ~other:* +@all",
		"user reader on >" + password + " ~stint:* +@read +@connection",
	}})
	for address, want := range map[string]error{
		"redis://" + server.Addr():                                    redisstore.ErrForbidden,
		"redis://:wrong-" + password + "@" + server.Addr():            redisstore.ErrForbidden,
		"redis://nobody:" + password + "@" + server.Addr():            redisstore.ErrForbidden,
		"redis://stranger:" + password + "@" + server.Addr():          redisstore.ErrForbidden,
		"redis://reader:" + password + "@" + server.Addr():            redisstore.ErrForbidden,
		"redis://limiter:" + password + "@127.0.0.1:1":                redisstore.ErrUnreachable,
		"redis://limiter:" + password + "@" + server.Addr() + "/none": nil,
	} {
		_, err := redisstore.Open(context.Background(), address, redisstore.Options{Timeout: 3 * time.Second})
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", strings.ReplaceAll(address, password, "…"), err, want)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("%v has the password", err)
		}
	}
	warned := ""
	s, err := redisstore.Open(context.Background(), "redis://limiter:"+password+"@"+server.Addr(), redisstore.Options{Warn: func(w string) { warned += w }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.Contains(warned, "noeviction") || strings.Contains(warned, password) {
		t.Errorf("where CONFIG is forbidden the warning is %q", warned)
	}
	if got := takes(s, unchanging(t, "acl", 5), 1, 7, func(err error) { t.Error(err) }); got != 5 {
		t.Errorf("%d of 5 granted", got)
	}
}

// The store works by TLS and by a socket.
func TestRedisTransports(t *testing.T) {
	for name, o := range map[string]servers.RedisOptions{
		"tls": {TLS: true, Password: "s3cret"}, "socket": {Socket: true}, "password": {Password: "s3cret"},
	} {
		t.Run(name, func(t *testing.T) {
			s := redisOpened(t, servers.NewRedis(t, o).Address())
			if got := takes(s, unchanging(t, name, 5), 2, 4, func(err error) { t.Error(err) }); got != 5 {
				t.Errorf("%d of 5 granted", got)
			}
		})
	}
}

// Nothing is left of a store that was used and closed, whatever its server does.
func TestRedisLeavesNothing(t *testing.T) {
	server := servers.NewRedis(t, servers.RedisOptions{})
	before := goleak.IgnoreCurrent()
	s, err := redisstore.Open(context.Background(), server.Address(), redisstore.Options{Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l := unchanging(t, "leak", 100)
	takes(s, l, 8, 3, func(err error) { t.Error(err) })
	server.Kill()
	takes(s, l, 8, 1, func(error) {})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	// The client tries in the background to reach a server that is gone; it ends when it next looks whether it is closed.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err = goleak.Find(before); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Error(err)
	}
}
