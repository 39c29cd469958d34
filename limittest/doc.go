// Package limittest proves that a store or a strategy keeps the laws of package stint. It is what the built-in ones are held to,
// and one call runs all of it on your own:
//
//	func TestStore(t *testing.T) {
//		limittest.Store(t, func(t testing.TB, clock *limittest.Clock) stint.Store { return mystore.New(clock.Now) })
//	}
//
//	func TestStrategy(t *testing.T) { limittest.Strategy(t, mystrategy.Strategy{}) }
//
// Each law is a sub-test of its own name, so that -run TestStore/law3 runs one of them.
//
// # What is run
//
// [Strategy] takes a strategy through random traces of takes, partial takes, looks, refunds, gifts, charges and resets, while
// time goes on, stands still, jumps and steps back. Law 1 is checked on the admitted events themselves ([NeverOver]). Every
// answer is held to an exact model in rational numbers ([NewModel]), written from the laws alone; your own strategy can bring
// its own ([StrategyOptions]). What needs no model is held for any strategy: refusals and looks change nothing, waiting exactly
// as told is enough and a tick less is not, a state that may be forgotten behaves as a new key's.
//
// [Store] does the same through a store, over several limits and keys, alone and all or nothing; and lets many callers loose at
// once: on one key, on a new one, on many while the store grows, in opposite orders, with two versions of a limit. Calls that
// overlap must be linearizable. A store that cannot be given a clock says so in [StoreOptions], and is held to the
// same by the instants that its answers are marked with; only what needs a clock to step back is left out.
//
// A store needs little to begin with: the examples hold one to all of this that is a map, a mutex and the strategies as they are.
//
// [Traps] are the mistakes of other limiters, one named sub-test each. [Vectors] are recorded traces; [ReplayVector] replays one.
//
// # How much
//
// The defaults take seconds. -rapid.checks (100) and -rapid.steps set how many random traces are tried and how long they are,
// -limittest.rounds (50) how many histories are recorded for linearizability, and -limittest.callers (8) how many goroutines
// call at once. For a store that is a millisecond away, [StoreOptions] turn all of it down for that store alone: with Checks and
// Rounds at 2 every law is run in some twenty thousand calls. For a long proof:
//
//	go test ./limittest -rapid.checks=100000 -limittest.rounds=5000 -timeout=0
//
// A failed trace is shrunk, and printed with what was done and answered; -rapid.seed repeats it.
package limittest
