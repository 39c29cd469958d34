package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/redisstore"
	"github.com/stint-go/stint/storetest/servers"
)

// With Replicas a decision is answered when a replica has what it wrote: it knows all that was granted, at any moment in which its master
// could be lost. Without a replica in time the decision stands, and is counted.
func TestRedisReplicas(t *testing.T) {
	master, replica := servers.NewRedis(t, servers.RedisOptions{}), servers.NewRedis(t, servers.RedisOptions{})
	there, here := replica.Client(), master.Client()
	defer there.Close()
	defer here.Close()
	ctx := context.Background()
	if err := there.ReplicaOf(ctx, "127.0.0.1", fmt.Sprint(master.Port)).Err(); err != nil {
		t.Fatal(err)
	}
	linked := func() bool { return strings.Contains(there.Info(ctx, "replication").Val(), "master_link_status:up") }
	for until := time.Now().Add(30 * time.Second); !linked(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the replica does not follow")
		}
	}
	s := redisOpened(t, master.Address()+"?replicas=1&replica-timeout=10s")
	l := unchanging(t, "replicated", 1000)
	key := fmt.Sprint("stint:*", l.ID, "*")
	for n := range 200 {
		claims, into := []stint.Claim{stint.NewClaim(l, "k", 1)}, make([]stint.Outcome, 1)
		var err error
		switch n % 3 {
		case 0:
			_, _, err = s.One(ctx, l, "k", stint.TakeOp(1))
		case 1:
			err = s.All(ctx, claims, into)
		case 2:
			_, _, err = s.One(ctx, l, "k", stint.CreditOp(1)) // which is compared and set
		}
		if err != nil {
			t.Fatal(err)
		}
		if a, b := dump(t, here, key), dump(t, there, key); a != b || a == "" {
			t.Fatalf("after %d calls the replica has %q, the master %q", n+1, b, a)
		}
	}
	if late := s.Stats().Late; late != 0 {
		t.Errorf("%d answers came before the replica had them", late)
	}
	replica.Kill()
	s = redisOpened(t, master.Address()+"?replicas=1&replica-timeout=20ms")
	before := s.Stats().Late
	if a, _, err := s.One(ctx, l, "other", stint.TakeOp(1)); err != nil || a.Granted != 1 || s.Stats().Late <= before {
		t.Errorf("without a replica: %+v, %v, %+v", a, err, s.Stats())
	}
}

// dump is the values of the keys that fit.
func dump(t *testing.T, c *redis.Client, pattern string) string {
	t.Helper()
	keys, err := c.Keys(context.Background(), pattern).Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	text := ""
	for _, key := range keys {
		value, err := c.Get(context.Background(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		text += value
	}
	return text
}

// On a Cluster each master's calls wait for its own replicas.
func TestRedisReplicasOfACluster(t *testing.T) {
	cluster := servers.NewRedisCluster(t)
	address := cluster.Address() + "?replicas=1&replica-timeout=5s"
	s, err := redisstore.Open(context.Background(), address, redisstore.Options{Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := unchanging(t, "spread", 10)
	claims, into := make([]stint.Claim, 60), make([]stint.Outcome, 60)
	for i := range claims {
		claims[i] = stint.NewClaim(l, fmt.Sprint("key", i%30), 6)
	}
	if err := s.Many(context.Background(), claims, into); err != nil {
		t.Fatal(err)
	}
	for i, o := range into {
		if want := int64(6); o.Err != nil || i < 30 && o.Granted != want || i >= 30 && o.Granted != 0 {
			t.Errorf("claim %d: %+v", i, o)
		}
	}
	if late := s.Stats().Late; late != 0 {
		t.Errorf("%d answers came before replicas had them", late)
	}
}
