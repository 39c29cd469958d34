// Package batch is a store around a store: it merges the calls that many goroutines make at the same time into few calls of the
// inner store. A store across a network then pays one round trip for up to 256 decisions instead of one each:
//
//	store, err := batch.New(redis, batch.Options{})
//	…
//	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(100))
//
// Nothing is traded for it. Each call gets exactly what it would have got alone: the merged calls are decided one by one, in the
// order in which they came, by [stint.Store.Many] where they make one claim, by [stint.CallStore.AllInTurn] where they make several,
// all or none. The two kinds take turns. Calls that overlap are linearizable if the inner store's are.
//
// # When calls are merged
//
// Keys are spread over shards (one, unless said), and a shard has one call under way at a time. A caller who finds its shard idle goes
// straight through, on its own goroutine, without a timer or a hand-over: a lone caller pays two short locks. Callers who come
// while it is away wait in line, and all of them are in the shard's next call: the busier the store, the larger the batches.
//
// Callers who ask for one decision after the other, and were answered together, would miss the next call by a hair, and two of them
// take turns for ever. So the next call waits for them to be back in line, for an eighth of the time that the last one took at most.
// Where fewer than half of them come back, as requests of many clients do not, the next 15 calls wait for nobody.
//
// # What is merged
//
//	One                        merged, whatever the operation: takes, looks, charges, gifts, resets, bookings and their undoing
//	All                        merged with others of its kind if the inner store is a [stint.CallStore], as those of Redis and SQL are
//	Many                       passes straight on: it is one call for many claims already
//	Refund, Block              pass straight on
//	Close                      lets what is under way come to its end, turns away who stands in line, closes the inner store
//
// What passes straight on overtakes nobody who had an answer before it came, and that is all that linearizability asks.
//
// # Callers who leave
//
// A caller whose context ends while it stands in line is withdrawn and charges nothing. One whose context ends while its claim is
// under way gets its context's error, and its units stay charged if the store granted them. Neither disturbs its neighbours: a
// merged call is not any caller's and goes on until the latest of their deadlines, at most Options.Timeout. It carries no
// caller's context values.
//
// # Bounds
//
// A shard's line holds Options.MaxQueue callers; one more gets [ErrFull]. A merged call takes at most Options.MaxBatch claims and
// at most Options.Timeout; callers do not wait for a lone call for longer than that either. If the inner store panics, the
// callers of that call get a [*PanicError] and the shard goes on. [Store.Stats] counts all of it.
//
// A caller waits at most for the call that is under way and its own place in line: with n in line of a shard and a round trip R,
// 9/8·R·(2 + n/MaxBatch).
package batch
