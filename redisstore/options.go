package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options are the options of a store. The zero value is ready to use.
type Options struct {
	// Timeout bounds a call whose context has no deadline. Default: one second. A context's own deadline always holds.
	Timeout time.Duration

	// AllowEviction accepts a server that may evict keys when its memory is full (any maxmemory-policy but noeviction). An evicted
	// key begins anew, which breaks its limit's promise. Default: such a server is refused.
	AllowEviction bool

	// Warn is told what the store cannot find out or what does not forbid it to work, as that CONFIG may not be read. Default:
	// nobody is told.
	Warn func(warning string)

	// Replicas is how many replicas are to have what a call wrote before it is answered (WAIT), so that less is lost in a failover, for a
	// round trip between the servers more a call. It waits for ReplicaTimeout at the longest; then the decision stands all the same,
	// and [Stats].Late counts it: the bound on failovers in the package's documentation becomes smaller by this, not zero. Default: 0,
	// nothing is waited for. In an address: replicas=1.
	Replicas int

	// ReplicaTimeout is how long Replicas are waited for, at least a millisecond. Default: 10 ms. In an address: replica-timeout=10ms.
	ReplicaTimeout time.Duration

	// Clock replaces the server's clock, for tests: it returns the instant in ticks since the Unix epoch, from any goroutine. Keys
	// are then kept an hour longer than needed. Default: the server's clock.
	Clock func() int64
}

const (
	defaultTimeout        = time.Second
	defaultReplicaTimeout = 10 * time.Millisecond
)

func (o *Options) validate() error {
	if o.Timeout < 0 {
		return fmt.Errorf("stint: redis: options: Timeout %v is negative", o.Timeout)
	}
	if o.Replicas < 0 || o.ReplicaTimeout != 0 && o.ReplicaTimeout < time.Millisecond {
		return fmt.Errorf("stint: redis: options: Replicas %d, ReplicaTimeout %v: the first is 0 or more, the second a millisecond or more", o.Replicas, o.ReplicaTimeout)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.ReplicaTimeout == 0 {
		o.ReplicaTimeout = defaultReplicaTimeout
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	return nil
}

// New makes a store on a client of yours, a [redis.Client] (of a single server, or by [redis.NewFailoverClient]) or a
// [redis.ClusterClient], which stays yours to close. It asks the server whether all that is needed is there and allowed: the
// commands EVAL, EVALSHA, TIME, GET, SET, SETRANGE, GETRANGE, MGET, EXISTS, PEXPIRE and DEL on the keys stint:*, WAIT with
// Options.Replicas, and CONFIG GET if it may.
//
// The client must have ContextTimeoutEnabled, or its calls would outlast their deadlines. Those of a Cluster should have a
// ClusterStateReloadInterval of a second or less: by default the client takes up to a minute to see a failover.
func New(ctx context.Context, client redis.UniversalClient, o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{options: o, link: &link{client: client, timeout: o.Timeout, replicas: o.Replicas, replicaTimeout: o.ReplicaTimeout}}
	s.link.forgot = s.forget
	if s.guess = o.Clock; s.guess == nil {
		s.guess = func() int64 { return time.Now().UnixMicro() }
	}
	switch c := client.(type) {
	case *redis.Client:
		if !c.Options().ContextTimeoutEnabled {
			return nil, errDeadlines
		}
	case *redis.ClusterClient:
		if !c.Options().ContextTimeoutEnabled {
			return nil, errDeadlines
		}
		s.link.cluster = c
	case *redis.Ring:
		return nil, errors.New("stint: redis: a Ring moves keys when a server is lost, and their counts would begin anew; use a Cluster or Sentinel")
	default:
		return nil, fmt.Errorf("stint: redis: client %T: give a *redis.Client or a *redis.ClusterClient", client)
	}
	ctx, cancel := s.link.bounded(ctx)
	defer cancel()
	if err := s.probe(ctx); err != nil {
		return nil, err
	}
	return s, s.checkEviction(ctx)
}

var errDeadlines = errors.New("stint: redis: the client ignores deadlines; set ContextTimeoutEnabled in its options")
