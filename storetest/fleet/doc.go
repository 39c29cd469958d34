// Package fleet simulates processes that share one store over a bad network, and holds what they grant together to the laws.
//
// A run is a bubble of virtual time (testing/synctest), made from a seed: processes, each a limiter on leases of its own around
// one memory store with its own clock; callers with bursts, pauses and odd costs; and between each process and the store a network
// that delays and loses requests and replies and is cut for a while. Processes crash with what they hold and start anew, their
// clocks go at different speeds, the store's steps ahead and back, and the store can lose its state. Windows are of a fixed time or of
// the calendar, at the ends of days, weeks and months and where daylight saving moves midnight. Thousands of runs take less than a minute.
//
// What is held, for every key of every run:
//
//   - Law 1 with the stated bound, over all spans of the history of grants. With E the life of a lease: a token bucket grants at most
//     B + r·(|I| + E) in any span I, whatever the number of processes; fixed, calendar and interval windows grant what they grant
//     without leases. For each time that the store loses its state, B (a window: N) comes on top. A step of the store's clock by x
//     adds x to E, and N for a window that it touches.
//   - Law 3: what refused calls asked for is charged nowhere. All that the store charged was granted, given back, or is known to be
//     lost.
//   - Law 8: whatever the store forgets meanwhile, its answers are the exact model's.
//   - Nothing is stranded: when the callers stop, a process that can reach the store holds nothing after 1.25·E and a trip.
//
// With a failover between leases and network the bound is the same where it refuses, and B + r·(|I| + E) and the sum of the shares
// where each process enforces its own.
//
// A failed run prints the command that repeats it:
//
//	go test ./fleet -run 'TestFleet$' -fleet.seed=42 -fleet.runs=1
//
// A run repeats itself exactly but for callers of one process that wake at the same instant, who come in any order: about one in ten
// does not, so repeat such a one a few times (-count=20).
package fleet
