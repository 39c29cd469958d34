// Package redisstore keeps the counts of limits in Redis or Valkey: a single server, one that Sentinel watches, or a Cluster. Any
// number of processes and machines share them, exactly.
//
//	store, err := redisstore.Open(ctx, "redis://localhost:6379", redisstore.Options{})
//	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(100))
//
// Put package batch around it where many goroutines decide at once: it is what makes a shared store fast. One call of a script then
// decides for all of them in one round trip, and a decision costs the server a small part of the time of a call of its own, on a hot
// key least. For a single server one shard is best, since it makes the largest batches. Without it each decision is a call of the
// script, as with other limiters on Redis.
//
//	merged, err := batch.New(store, batch.Options{Shards: 1})
//
// The server is Redis from 6.2 on or Valkey. Redis 6.2 does not know scripts that are declared to write: a former master that has become
// a replica may answer it a look or a refusal from what it had, where later versions answer nothing.
//
// # What holds
//
// The laws of package stint, as on the memory store. A call is decided in one step of the server, on the server's clock; no other
// clock enters what is counted. Each key has an expiry, in the same step, that is never shorter than the time until it is as good as
// new. The server must not evict keys (maxmemory-policy noeviction, which [New] looks for).
//
// Built-in strategies are decided by the script. By comparing and setting in two round trips, at most 64 times and one caller of a
// process at a time for each key, is decided what has no exact transcription: a strategy of your own; states of three words of
// token buckets, pacing and sliding counters; numbers beyond 2^52; credits, refunds and resets; a key while it is blocked, after a
// reset until its receipts are void, and at its first call under other values of its limit. What is not settled then is
// stint.ErrContention, and nothing was taken. [Store.Stats] counts both ways.
//
// # On a Cluster
//
// All keys of a subject, the first part of [stint.Key], lie in one slot, so a call about one subject is one step. A call with claims
// on several subjects looks at all of them, then takes from one after the other and gives back if one refuses after all: never too
// much is granted, for a moment too little may be.
//
// # When servers fail
//
// Only what surely did not run is tried again, until the context's deadline or [Options].Timeout: while no connection can be made,
// while a server is loading, a replica, or without the slot or the script. Then the error is [ErrUnreachable] and nothing was
// taken. A call that was sent and not answered is [ErrUnknown]: what it may have taken stays charged. Neither is a denial; package
// failover makes a decision of them.
//
// A failover loses what the new master had not received. In any span I in which f of them fall, a key of a token bucket of capacity
// B and rate r is granted at most B + r·|I| + f·(B + r·d), where d is how long both masters took writes and their clocks differ; of a
// window, twice its units. With Sentinel set min-replicas-to-write 1 and min-replicas-max-lag 1, so that d is short.
// [Options].Replicas answers a call when so many replicas have what it wrote, so that what is lost is less.
//
// # What is kept
//
// A key "stint:{…}:…" of 21 bytes for a strategy of one word, 37 for three, 35 and 16 for each run of a sliding log; the values of
// each limit under "stint:{…}v:…", so that a process can carry over what was counted under values that it has never seen; used
// receipts under "stint:{…}r:…" for as long as they would be worth anything. To forget a limiter, remove the keys stint:*.
package redisstore
