// Package failover is a store around a store that may be lost: a server across a network. It bounds how long a call waits for the
// inner store, and says, limit by limit, what a call gets when there is no answer:
//
//	store, err := failover.New(redis, failover.Options{
//		Timeout:   25 * time.Millisecond,
//		Choices:   map[string]failover.Choice{"per-key": failover.Local, "search": failover.Open},
//		Instances: 4,
//	})
//
// A lost store is never a denial by accident and never an admission by accident: it is the limit's [Choice], and the decision is
// marked (stint.Degraded).
//
// # The choices
//
//	Closed   refuse; nobody knows until when (stint.Unknown). The default
//	Open     admit what a new key would be granted
//	Local    this instance enforces its share on its own: of k instances, the rate r/k and the burst max(1, floor(B/k))
//
// While the store is lost all instances together admit, with Local, no more than the sum of their shares: for a token bucket
// max(B, k) + r·|I| in any interval I. When it is back, each instance charges what still counts in its share, whatever is left in
// the store and whether or not there are calls. So over a loss
//
//	A(I) ≤ B + max(B, k) + r·|I|
//
// and max(B, k) more only from the first instance's return to the last one's, which are about Options.Retry apart: what is taken in
// between is paid back out of what comes after. No flicker adds to it, since the shares are not filled up again when the next loss
// begins. An instance that loses a store which the others still have adds its share, 1/k of B + r·|I|, for as long as that lasts.
// Options.Grace bounds how long Open and Local are in force; what comes later is refused as by Closed.
//
// Not charged is what time has given back in the share already: to charge every unit of an hour without the store would end it with
// an hour of refusals.
//
// # When the store is lost
//
// Every call has Options.Timeout, 25 ms unless said: right for Redis, too short for an SQL store, whose hot rows are better given
// 250 ms. A call that fails is decided by its limits' choices at once. After Options.Failures failures in a row nobody asks the
// store any more, so nobody waits: the store is lost. From then on a goroutine of the wrapper probes it, one call at a time every
// Options.Retry, with a unit of a limit of its own (id [ProbeID]). After Options.Probes successes in a row the shares' units are
// charged, and calls go to the store again. So a caller never waits for longer than Timeout, and while the store is lost not at all.
//
// A failure is no answer within Timeout, or an error of the store. A denial is none, nor is an error that a healthy store gives
// (a used receipt, say), nor the end of the caller's own context: the caller gets that back as it is. A call that failed may have
// been charged nevertheless, which errs on the refusing side. The store must heed the end of its context: nothing else ends a call
// that hangs.
//
// # A store that is not there yet
//
// New without a store opens one by Options.Open, in the background, and tries again every Options.Retry until it succeeds. Calls
// wait for the first try, at most Timeout, and are decided as if the store were lost after it. So a program starts cleanly while
// its store is away.
//
// # What is decided without the store
//
//	One, All, Many    takes and looks by the choices; the undoing of a booking where Local made it. Else ErrLost
//	Refund, Block     ErrLost
//	Close             charges what is owed if the store is there, and closes it
//
// All with claims of several limits is refused if one of their choices refuses. What was granted without the store has no receipt:
// nothing was taken there that could be given back.
//
// # With other wrappers
//
// Put this one around package batch: the wait in its line is within Timeout then, too. A deadline costs each call about a
// microsecond and five allocations, unless its context has a sooner one; inside package batch, where a merged call has one deadline
// for all, that is spared, and a call waits for Timeout twice at most. Package deny goes around both.
package failover
