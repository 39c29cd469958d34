// Package bench measures Stint beside other rate limiters, in one run and through their public APIs. Nothing imports it.
//
// A [Contestant] makes a limiter for a [Limit]; its [Decider] decides blocks of keys that were prepared beforehand. A [Row] is
// one situation: one key, a million keys, refusals, new keys. [Row.Run] puts all contestants through it in interleaved rounds,
// so that a noisy moment of the machine strikes all of them alike, and checks each decision: a contestant that is fast because
// it decides wrongly is shown up.
//
// [Footprint], [Expire] and [LongestCall] look at memory and pauses, [Middlewares] at what a request costs. The command
// bench/cmd/compare runs everything and prints the tables of docs/benchmarks.md; the Benchmark functions are the same rows one by
// one, for profiles. The command bench/cmd/services measures the decision service beside another, program beside program.
package bench
