package batch

import (
	"fmt"
	"time"
)

// Options are the options of a batching store. The zero value is ready to use.
type Options struct {
	// Shards is how many calls may be under way at once. Keys are spread over the shards, and calls are merged within one: more
	// shards, smaller batches, and more work for the store. More than one pays where a store decides many calls side by side and
	// slowly, as a database on several disks does. Default: 1.
	Shards int

	// MaxBatch bounds the claims of a merged call. Default: 256.
	MaxBatch int

	// MaxQueue bounds the callers in line of a shard; one more gets ErrFull and charges nothing. Default: 16,384, which a store
	// with a round trip of 0.1 ms serves within 26 ms.
	MaxQueue int

	// Timeout bounds a merged call, whatever the deadlines of its callers, and how long callers stand in line behind a lone call,
	// which has its own caller's context alone. Default: 1 second.
	Timeout time.Duration
}

const (
	defaultShards   = 1
	defaultMaxBatch = 256
	defaultMaxQueue = 16_384
	defaultTimeout  = time.Second
)

func (o *Options) validate() error {
	if o.Shards < 0 || o.MaxBatch < 0 || o.MaxQueue < 0 || o.Timeout < 0 {
		return fmt.Errorf("batch: options: a bound is negative (Shards %d, MaxBatch %d, MaxQueue %d, Timeout %v)",
			o.Shards, o.MaxBatch, o.MaxQueue, o.Timeout)
	}
	if o.Shards == 0 {
		o.Shards = defaultShards
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = defaultMaxBatch
	}
	if o.MaxQueue == 0 {
		o.MaxQueue = defaultMaxQueue
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return nil
}
