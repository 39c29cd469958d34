package storetest

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stint-go/stint/storetest/servers"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	servers.Main(m)
}

// silent keeps to itself what the Redis client says of servers that the tests have killed.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
