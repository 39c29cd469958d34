package redisstore

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// probe tries all that the scripts do, on a key of its own.
func (s *Store) probe(ctx context.Context) error {
	c := &call{script: probeScript, keys: []string{string(append(appendTag(nil, subjectHash("probe")), "p:"...))}}
	s.link.run(ctx, c)
	return told(c.err)
}

// checkEviction refuses servers that may evict live keys: every key of a limiter has an expiry, so any policy but noeviction may take
// them.
func (s *Store) checkEviction(ctx context.Context) error {
	if s.options.AllowEviction {
		return nil
	}
	if s.link.cluster == nil {
		return s.checkServer(ctx, s.link.client)
	}
	var mu sync.Mutex // the servers are asked at once
	return s.link.cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		return s.checkServer(ctx, master)
	})
}

func (s *Store) checkServer(ctx context.Context, server redis.Cmdable) error {
	config, err := server.ConfigGet(ctx, "maxmemory*").Result()
	if err != nil {
		s.options.Warn(fmt.Sprintf("stint: redis: CONFIG GET is refused, so it is not known whether the server evicts live keys; see to it that maxmemory-policy is noeviction (%v)", err))
		return nil
	}
	policy := config["maxmemory-policy"]
	if policy == "" || policy == "noeviction" {
		return nil
	}
	if config["maxmemory"] == "0" {
		s.options.Warn(fmt.Sprintf("stint: redis: maxmemory-policy is %s; as soon as maxmemory is set the server will evict live keys", policy))
		return nil
	}
	return fmt.Errorf("stint: redis: maxmemory-policy is %s: the server may evict live keys, whose counts begin anew; set it to noeviction, or AllowEviction", strings.ToLower(policy))
}
