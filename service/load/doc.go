// Package load is the hungry client: it sends requests at a fixed rate, counts what was admitted and what was refused, and
// judges whether a limit held.
//
//	report, err := load.Run(ctx, load.Options{
//		URL:    "http://127.0.0.1:8080/limit",
//		Rate:   stint.PerMinute(2000),
//		Expect: []stint.Limit{stint.PerSecond(10)},
//	})
//
// The loop is open: each request has an instant at which it is to be sent, whatever became of the ones before, and its latency
// counts from that instant. A server that stalls makes all requests behind it late and cannot hide it.
//
// # Admitted, refused, error
//
// A request is refused if the answer is 429, and admitted if it is any other answer that a service behind a limit gives: all
// but 401, 403 and 500 and above. Those, and requests without an answer, are errors, counted by kind.
//
// # The verdict
//
// Nobody outside can see when a request was admitted, only that it was between its sending and its answer. So a request is
// counted in a window only if it was sent and answered in it; and windows are taken a little too short, by 1/2000 and a
// microsecond, since two machines' clocks differ by as much. What is counted then was surely admitted within the window: a limit
// that is said to be broken is broken. The counts by the times of sending and of answering, which jitter can raise above the
// limit, are given beside it.
package load
