package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisSentinels is a master, a replica, and three sentinels that watch the master, for one test.
type RedisSentinels struct {
	Master, Replica *RedisServer
	ports           []int
}

// sentinelMaster is the master's name.
const sentinelMaster = "stint"

// NewRedisSentinels starts them. They take a master for lost after half a second.
func NewRedisSentinels(t testing.TB) *RedisSentinels {
	t.Helper()
	program, err := find("redis-sentinel")
	redisOrGive(t, nil, err)
	s := &RedisSentinels{Master: NewRedis(t, RedisOptions{Lines: []string{"min-replicas-max-lag 1"}})}
	s.Replica = NewRedis(t, RedisOptions{Lines: []string{fmt.Sprintf("replicaof 127.0.0.1 %d", s.Master.Port)}})
	for range 3 {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nsentinel monitor %s 127.0.0.1 %d 2\nsentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 3000\n",
			port, dir, sentinelMaster, s.Master.Port, sentinelMaster, sentinelMaster)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := spawn(exec.CommandContext(context.Background(), program, file), filepath.Join(dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.kill)
		s.ports = append(s.ports, port)
	}
	for deadline := time.Now().Add(30 * time.Second); !s.agree(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the sentinels do not find each other and the replica")
		}
	}
	return s
}

// agree says whether each sentinel knows the others and the replica.
func (s *RedisSentinels) agree() bool {
	for _, port := range s.ports {
		c := redis.NewSentinelClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), MaxRetries: -1, DialerRetries: 1})
		sentinels, err := c.Sentinels(context.Background(), sentinelMaster).Result()
		replicas, err2 := c.Replicas(context.Background(), sentinelMaster).Result()
		c.Close()
		if err != nil || err2 != nil || len(sentinels) != 2 || len(replicas) != 1 || !strings.Contains(replicas[0]["flags"], "slave") || replicas[0]["master-link-status"] != "ok" {
			return false
		}
	}
	return true
}

// Announced says whether the sentinels say that the replica is the master now.
func (s *RedisSentinels) Announced() bool {
	for _, port := range s.ports {
		c := redis.NewSentinelClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), MaxRetries: -1, DialerRetries: 1})
		address, err := c.GetMasterAddrByName(context.Background(), sentinelMaster).Result()
		c.Close()
		if err != nil || len(address) != 2 || address[1] != fmt.Sprint(s.Replica.Port) {
			return false
		}
	}
	return true
}

// Address is the URL of the master, whoever it is.
func (s *RedisSentinels) Address() string {
	var hosts []string
	for _, port := range s.ports {
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return "redis+sentinel://" + strings.Join(hosts, ",") + "/" + sentinelMaster
}
