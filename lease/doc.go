// Package lease is a store around a shared store: it takes units out of it in blocks and spends them in memory, so that a key that
// is called often costs the shared store a few calls a second instead of one for each call.
//
//	shared, err := …                                   // a store of many processes
//	store, err := lease.New(shared, lease.Options{})
//	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerSecond(1000).WithBurst(2000))
//
// # What it promises
//
// Every unit is charged in the shared store before it is spent, so what a key is granted has a bound that does not depend on how
// many processes there are. E is the life of a lease ([Options].Life, one second):
//
//	token bucket                              A(I) ≤ B + r·(|I| + E) in every span I
//	fixed window, calendar window             exact: at most N in each window
//	interval bucket                           exact: at most B + Units·⌈I/Per⌉ in every span I
//	sliding log and counter, slots, pacing    refused, or passed through to the shared store ([Options].Others)
//
// A lease on windows ends with its window. A life is counted from when the shared store was asked, not from its answer, and ends a
// 1024th and two ticks early, for clocks that go at different speeds. A shared store whose own clock steps by x while units are held adds x
// to E, and N to a window that it touches.
//
// # What it costs
//
// Units that one process holds are refused to the others. The price is bounded: a process holds at most MaxBlock units of a key, no
// more than an eighth of what the shared store has left, and none of a key that is not called several times in a quarter of E. A
// lease that is not spent from for E/4 to E/2, or has expired, goes back by the receipt of its charge; so a process that stops calling
// holds nothing after 1.25 E. A process that dies, and an answer that is lost on the way, leave what they held charged, as if it had been spent.
// What time has given back meanwhile a late return does not give twice; a bucket can lose so up to r·E units by a lease that was
// not needed.
//
// When few units are left calls go to the shared store one by one, so the last unit goes to whoever asks for it first.
//
// # What the answers say
//
// Granted and RetryAfter are the shared store's or, of a lease, a grant. Remaining is what the shared store had left when it was
// last asked, at most E ago, and what the lease holds, never above the limit: an upper bound on windows, of which others may have
// taken since; on a token bucket it may be too low, by what has come in since, at most r·E. ResetAfter is an upper bound.
//
// # What ends a lease
//
// A block and a reset through this store end the key's lease at once, and an answer that the key is blocked does, too. Through
// another process they take effect within E. After a reset elsewhere a lease can thus grant up to MaxBlock units that were charged
// before. Values of the limit that change end it as well; what was held under the old ones stays charged.
//
// Refunds go to the shared store, with the instant of the block's charge as their receipt's. Credits, charges and bookings ahead go
// there, too, and leave the lease as it is. A call with several claims takes out of leases what they hold, asks the shared store for
// the rest in one call, and puts back what it took if that is refused.
package lease
