package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisCluster is a Cluster of three masters with a replica each, for one test.
type RedisCluster struct{ Servers []*RedisServer }

// NewRedisCluster starts a Cluster. Its servers take one for lost after a second.
func NewRedisCluster(t testing.TB) *RedisCluster {
	t.Helper()
	cli, err := find("redis-cli")
	redisOrGive(t, nil, err)
	c := &RedisCluster{}
	var addresses []string
	for range 6 {
		s, err := startClusterNode()
		redisOrGive(t, nil, err)
		t.Cleanup(s.Kill)
		c.Servers = append(c.Servers, s)
		addresses = append(addresses, s.Addr())
	}
	args := append([]string{"--cluster", "create"}, addresses...)
	out, err := exec.CommandContext(t.Context(), cli, append(args, "--cluster-replicas", "1", "--cluster-yes")...).CombinedOutput()
	if err != nil {
		t.Fatalf("create a cluster: %v: %s", err, out)
	}
	c.wait(t, "all is well", func() bool {
		for _, s := range c.Servers {
			client := s.Client()
			info := client.ClusterInfo(context.Background()).Val() + client.Info(context.Background(), "replication").Val()
			client.Close()
			well := strings.Contains(info, "role:master") && strings.Contains(info, "state=online") || strings.Contains(info, "master_link_status:up")
			if !well || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:6") {
				return false
			}
		}
		return true
	})
	return c
}

// startClusterNode starts a server whose second port, 10,000 above the first, is free, too.
func startClusterNode() (*RedisServer, error) {
	var s *RedisServer
	var err error
	for range 20 {
		s, err = startRedis(RedisOptions{Lines: []string{
			"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000", "cluster-replica-validity-factor 0",
			fmt.Sprintf("cluster-port %d", busPort()), "appendonly no",
		}})
		if err == nil {
			return s, nil
		}
		var missing errMissing
		if errors.As(err, &missing) {
			return nil, err
		}
	}
	return nil, err
}

// busPort is a free port for what the servers of a Cluster tell each other.
func busPort() int {
	port, err := freePort()
	if err != nil {
		return 0 // the server says what is wrong with it
	}
	return port
}

// wait waits for what must come.
func (c *RedisCluster) wait(t testing.TB, what string, come func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !come(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the cluster: not so within a minute: %s", what)
		}
	}
}

// Address is the Cluster's URL.
func (c *RedisCluster) Address() string {
	var hosts []string
	for _, s := range c.Servers {
		hosts = append(hosts, s.Addr())
	}
	return "redis+cluster://" + strings.Join(hosts, ",")
}

// MasterOf is the server that has a key's slot now; nil if none says so.
func (c *RedisCluster) MasterOf(key string) *RedisServer {
	for _, s := range c.Servers {
		client := s.Client()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		slot, err := client.ClusterKeySlot(ctx, key).Result()
		var shards []redis.ClusterShard
		if err == nil {
			shards, err = client.ClusterShards(ctx).Result()
		}
		cancel()
		client.Close()
		if err != nil {
			continue
		}
		if port := masterPort(shards, slot); port != 0 {
			for _, s := range c.Servers {
				if int64(s.Port) == port {
					return s
				}
			}
		}
	}
	return nil
}

// masterPort is the port of the master that has a slot; 0 if none says so.
func masterPort(shards []redis.ClusterShard, slot int64) int64 {
	for _, shard := range shards {
		for _, span := range shard.Slots {
			if span.Start > slot || slot > span.End {
				continue
			}
			for _, n := range shard.Nodes {
				if n.Role == "master" && n.Health == "online" {
					return n.Port
				}
			}
		}
	}
	return 0
}
