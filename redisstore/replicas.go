package redisstore

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// sendWaiting is send where replicas are to have what was written: behind the calls of each server goes a WAIT on the same connection,
// which waits for that connection's writes. Where too few replicas are in time the calls stand as they are, and are counted.
func (k *link) sendWaiting(ctx context.Context, calls []*call) {
	groups, servers := k.byServer(ctx, calls)
	var sending sync.WaitGroup
	for i, group := range groups {
		sending.Go(func() { k.sendAndWait(ctx, servers[i], group) })
	}
	sending.Wait()
}

// pipeliner is a client that sends several commands on one connection.
type pipeliner interface{ Pipeline() redis.Pipeliner }

// byServer are the calls by the server that has their keys. A call for which there is none now has its error.
func (k *link) byServer(ctx context.Context, calls []*call) (groups [][]*call, servers []pipeliner) {
	if k.cluster == nil {
		return [][]*call{calls}, []pipeliner{k.client}
	}
	places := map[*redis.Client]int{}
	for _, c := range calls {
		master, err := k.cluster.MasterForKey(ctx, c.keys[0])
		if err != nil {
			c.answer, c.err = nil, notSent{err}
			continue
		}
		place, there := places[master]
		if !there {
			place = len(groups)
			places[master] = place
			groups, servers = append(groups, nil), append(servers, master)
		}
		groups[place] = append(groups[place], c)
	}
	return groups, servers
}

func (k *link) sendAndWait(ctx context.Context, server pipeliner, calls []*call) {
	commands := make([]*once, len(calls))
	pipe := server.Pipeline()
	for i, c := range calls {
		commands[i] = c.command(ctx)
		_ = pipe.Process(ctx, commands[i])
	}
	waited := &onceInt{redis.NewIntCmd(ctx, "wait", k.replicas, k.replicaTimeout.Milliseconds())}
	_ = pipe.Process(ctx, waited)
	_, err := pipe.Exec(ctx)
	sound := false
	for i, c := range calls {
		if c.done(commands[i]); c.err == nil && c.answer == nil {
			c.err = err // the pipeline ended before it
		}
		sound = sound || c.err == nil
	}
	if sound && (waited.Err() != nil || waited.Val() < int64(k.replicas)) {
		k.late.Add(1)
	}
}

// onceInt is a command that the client may not send again by itself.
type onceInt struct{ *redis.IntCmd }

// NoRetry implements redis.Cmder.
func (*onceInt) NoRetry() bool { return true }
