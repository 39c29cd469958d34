package redisstore

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stint-go/stint"
)

// older makes a client's server one older than 7.0, which takes the first line of a declared script for a mistake.
type older struct{ redis.Hook }

type answered string

func (a answered) Error() string { return string(a) }
func (answered) RedisError()     {}

func (older) DialHook(next redis.DialHook) redis.DialHook { return next }
func (older) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (older) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); args[0] == "eval" && strings.HasPrefix(args[1].(string), "#!") {
			err := answered("ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'")
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

// A server of the time before declared scripts is given plain ones, and does the same.
func TestOldServer(t *testing.T) {
	emptied(t)
	client := redis.NewClient(&redis.Options{Addr: server.address, ContextTimeoutEnabled: true})
	defer client.Close()
	if err := client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	client.AddHook(older{})
	s, err := New(t.Context(), client, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, strategy := range []stint.Strategy{stint.TokenBucket{}, stint.SlidingLog{}} {
		l, err := stint.NewWith(stint.Options{Store: s}, stint.PerHour(2).WithStrategy(strategy).WithID(t.Name()+strategy.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{true, true, false} {
			if d, err := l.Take(t.Context(), "k", 1); err != nil || d.Allowed != want {
				t.Errorf("%s, call %d: %v, %v", strategy.Name(), i, d.Allowed, err)
			}
		}
	}
	if !s.link.old.Load() {
		t.Error("the scripts were not plain")
	}
}
