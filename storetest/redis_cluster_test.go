package storetest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/redisstore"
	"github.com/stint-go/stint/storetest/servers"
)

// TestRedisCluster is the kit on a Cluster, where claims on different subjects lie on different servers.
func TestRedisCluster(t *testing.T) {
	cluster := servers.NewRedisCluster(t)
	t.Run("kit", func(t *testing.T) {
		limittest.StoreWith(t, limittest.StoreOptions{Checks: 3, Rounds: 1}, redisOpener(cluster.Address()))
	})
	t.Run("resharding", func(t *testing.T) { resharding(t, cluster) })
	t.Run("failover", func(t *testing.T) { clusterFailover(t, cluster) })
}

// load is callers who take units of one key until they are stopped, each call with so much patience.
type load struct {
	granted, failed atomic.Int64
	last            atomic.Int64 // when a call was last answered, in ns
	wrong           atomic.Pointer[error]
	stop            chan struct{}
	callers         sync.WaitGroup
}

func startLoad(s stint.Store, l *stint.Limit, callers int, patience time.Duration) *load {
	x := &load{stop: make(chan struct{})}
	for range callers {
		x.callers.Go(func() {
			for {
				select {
				case <-x.stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				a, _, err := s.One(ctx, l, "k", stint.TakeOp(1))
				cancel()
				switch {
				case err == nil:
					x.granted.Add(a.Granted)
					x.last.Store(time.Now().UnixNano())
				case errors.Is(err, redisstore.ErrUnreachable), errors.Is(err, redisstore.ErrUnknown):
					x.failed.Add(1)
				default:
					x.failed.Add(1)
					x.wrong.Store(&err)
				}
				time.Sleep(time.Millisecond) // a caller, not a flood
			}
		})
	}
	return x
}

// end stops the callers.
func (x *load) end(t *testing.T) {
	t.Helper()
	close(x.stop)
	x.callers.Wait()
	if err := x.wrong.Load(); err != nil {
		t.Errorf("an error that says nothing of what was taken: %v", *err)
	}
}

// answeredAfter waits until a call was answered after an instant, and says how long after.
func (x *load) answeredAfter(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if last := x.last.Load(); last > since.UnixNano() {
			return time.Duration(last - since.UnixNano())
		}
		if time.Now().After(deadline) {
			t.Fatal("no service within 30 s")
		}
	}
}

// masterOf is the server that has the limit's key.
func masterOf(t *testing.T, c *servers.RedisCluster, l *stint.Limit) (*servers.RedisServer, string) {
	t.Helper()
	for _, s := range c.Servers {
		client := s.Client()
		keys, err := client.Keys(context.Background(), "stint:*"+l.ID+"k").Result()
		client.Close()
		if err == nil && len(keys) == 1 {
			return c.MasterOf(keys[0]), keys[0]
		}
	}
	t.Fatal("the key is nowhere")
	return nil, ""
}

// resharding moves the slot of a key from one server to another while callers take from it, and back: nothing is lost, nothing is
// granted twice, no call fails.
func resharding(t *testing.T, cluster *servers.RedisCluster) {
	s := redisOpened(t, cluster.Address())
	l := unchanging(t, "reshard", 2000)
	take(t, s, l, "k")
	from, key := masterOf(t, cluster, l)
	x := startLoad(s, l, 8, 30*time.Second)
	moves := 0
	for _, to := range cluster.Servers {
		if to == from || !isMaster(t, to) {
			continue
		}
		moveSlot(t, cluster, key, from, to)
		from = to
		moves++
	}
	began := time.Now()
	x.answeredAfter(t, began)
	x.end(t)
	rest := takes(s, l, 1, 2100, func(err error) { t.Error(err) })
	if got := 1 + x.granted.Load() + rest; got != 2000 || x.failed.Load() > 0 || moves < 2 {
		t.Errorf("%d of 2000 granted (%d before the end), %d calls failed, %d moves", got, x.granted.Load(), x.failed.Load(), moves)
	}
}

func isMaster(t *testing.T, s *servers.RedisServer) bool {
	t.Helper()
	c := s.Client()
	defer c.Close()
	return strings.Contains(c.Info(context.Background(), "replication").Val(), "role:master")
}

// moveSlot moves a key's slot as redis-cli does, key by key.
func moveSlot(t *testing.T, cluster *servers.RedisCluster, key string, from, to *servers.RedisServer) {
	t.Helper()
	ctx := context.Background()
	a, b := from.Client(), to.Client()
	defer a.Close()
	defer b.Close()
	must := func(err error) {
		t.Helper()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
	}
	slot := a.ClusterKeySlot(ctx, key).Val()
	idA, idB := a.Do(ctx, "cluster", "myid").String(), b.Do(ctx, "cluster", "myid").String()
	idA, idB = idA[strings.LastIndex(idA, " ")+1:], idB[strings.LastIndex(idB, " ")+1:]
	must(b.Do(ctx, "cluster", "setslot", slot, "importing", idA).Err())
	must(a.Do(ctx, "cluster", "setslot", slot, "migrating", idB).Err())
	time.Sleep(20 * time.Millisecond) // calls meet a slot that is in both places
	for {
		keys := a.ClusterGetKeysInSlot(ctx, int(slot), 10).Val()
		if len(keys) == 0 {
			break
		}
		for _, k := range keys {
			must(a.Migrate(ctx, "127.0.0.1", fmt.Sprint(to.Port), k, 0, 5*time.Second).Err())
		}
	}
	time.Sleep(20 * time.Millisecond)
	for _, c := range []*redis.Client{b, a} {
		must(c.Do(ctx, "cluster", "setslot", slot, "node", idB).Err())
	}
}

// clusterFailover kills the master of a key. Between failovers the law holds; the failover itself may grant the limit once more, by
// what the replica had not got yet. Service is back soon after the servers have elected another.
func clusterFailover(t *testing.T, cluster *servers.RedisCluster) {
	own := redisOpened(t, cluster.Address())
	addresses := []string{}
	for _, s := range cluster.Servers {
		addresses = append(addresses, s.Addr())
	}
	// A client of somebody else's, which looks for a new master once a minute only.
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, ContextTimeoutEnabled: true})
	defer client.Close()
	theirs, err := redisstore.New(context.Background(), client, redisstore.Options{Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	const units = 100_000
	l := unchanging(t, "failover", units)
	take(t, own, l, "k")
	master, key := masterOf(t, cluster, l)
	x, y := startLoad(own, l, 4, 300*time.Millisecond), startLoad(theirs, l, 4, 300*time.Millisecond)
	x.answeredAfter(t, time.Now())
	y.answeredAfter(t, time.Now())
	before := 1 + x.granted.Load() + y.granted.Load()
	master.Kill()
	killed := time.Now()
	for cluster.MasterOf(key) == nil || cluster.MasterOf(key) == master {
		if time.Since(killed) > time.Minute {
			t.Fatal("the servers elect nobody")
		}
		time.Sleep(10 * time.Millisecond)
	}
	elected := time.Now()
	first, second := x.answeredAfter(t, elected), y.answeredAfter(t, elected)
	x.end(t)
	y.end(t)
	t.Logf("elected after %v; served again %v and %v later", elected.Sub(killed).Round(time.Millisecond), first.Round(time.Millisecond), second.Round(time.Millisecond))
	if max(first, second) > 5*time.Second {
		t.Errorf("service came back %v and %v after the election", first, second)
	}
	granted := 1 + x.granted.Load() + y.granted.Load()
	a, _, err := own.One(context.Background(), l, "k", stint.LookOp(1))
	if err != nil {
		t.Fatal(err)
	}
	// What callers were told is what the server counts, but for what the replica had not got, and what was done and never told.
	if left := int64(units) - granted; a.Remaining > left+before || a.Remaining < left-x.failed.Load()-y.failed.Load() {
		t.Errorf("%d of %d granted, %d remain, %d calls failed", granted, units, a.Remaining, x.failed.Load()+y.failed.Load())
	}
	t.Logf("%d granted, %d calls failed, %d more remain than if nothing was lost", granted, x.failed.Load()+y.failed.Load(), a.Remaining-(units-granted))
}

// The same for a master that sentinels watch.
func TestRedisSentinel(t *testing.T) {
	sentinels := servers.NewRedisSentinels(t)
	s := redisOpened(t, sentinels.Address())
	const units = 2000
	l := unchanging(t, "sentinel", units)
	x := startLoad(s, l, 4, 300*time.Millisecond)
	x.answeredAfter(t, time.Now())
	sentinels.Master.Kill()
	killed := time.Now()
	for !sentinels.Announced() {
		if time.Since(killed) > time.Minute {
			t.Fatal("the sentinels elect nobody")
		}
		time.Sleep(10 * time.Millisecond)
	}
	elected := time.Now()
	after := x.answeredAfter(t, elected)
	x.end(t)
	rest := takes(s, l, 1, units+100, func(err error) { t.Error(err) })
	t.Logf("elected after %v; served again %v later; %d granted of %d", elected.Sub(killed).Round(time.Millisecond), after.Round(time.Millisecond), x.granted.Load()+rest, units)
	if after > 5*time.Second {
		t.Errorf("service came back %v after the election", after)
	}
	if got := x.granted.Load() + rest; got > 2*units || got+x.failed.Load() < units {
		t.Errorf("%d granted in all, %d calls failed: the limit of %d, and once more for a failover, is the bound", got, x.failed.Load(), units)
	}
}

// TestValkey is the kit on Valkey, where the machine has it.
func TestValkey(t *testing.T) {
	if _, err := exec.LookPath("valkey-server"); err != nil {
		t.Log("left out: valkey-server is not on this machine")
		return
	}
	server := servers.NewRedis(t, servers.RedisOptions{Program: "valkey-server"})
	limittest.StoreWith(t, limittest.StoreOptions{Checks: 10, Rounds: 3}, redisOpener(server.Address()))
}
