package redisstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Clients with which the store could not keep its word are refused, and it is said why.
func TestNewRefuses(t *testing.T) {
	single, cluster, ring := redis.NewClient(&redis.Options{}), redis.NewClusterClient(&redis.ClusterOptions{}), redis.NewRing(&redis.RingOptions{})
	for want, client := range map[string]redis.UniversalClient{"ContextTimeoutEnabled": single, "deadlines": cluster, "Ring": ring, "give a": nil} {
		if _, err := New(context.Background(), client, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v", client, err)
		}
		if client != nil {
			client.Close()
		}
	}
	if _, err := Open(context.Background(), "redis://localhost:1", Options{Timeout: -time.Second}); err == nil || !strings.Contains(err.Error(), "negative") {
		t.Errorf("a negative Timeout: %v", err)
	}
}
