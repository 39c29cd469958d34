// Package stint limits how much one caller may do in a span of time. It needs the standard library alone.
//
// Most programs need four lines:
//
//	limiter, err := stint.New(stint.PerHour(100)) // never more than 100 in any hour, for each key
//	…
//	if !limiter.Allow(apiKey) {
//		return errTooFast
//	}
//
// # Words
//
// A limit is so many units per span of time. A key says who is counted: an API key, a user, an address, or several of them
// made one by [Key]. A call costs one unit unless it says otherwise, and gets a [Decision]: allowed or not, why, what is left
// and when to come back. A store keeps the counts; a strategy says how they are counted.
//
// # Limits
//
// Make them in code or read them from texts, which is how flags and files give them:
//
//	stint.PerHour(100)                        // 100/hour
//	stint.PerSecond(10).WithBurst(20)         // 10/s burst 20
//	stint.PerCalendarDay(1000, nil)           // 1000/calendar-day
//	stint.ParseLimit("100/hour token-bucket")
//
// A limit that names a burst is a [TokenBucket], which allows bursts on top of a steady rate. One that does not is a
// [SlidingLog]: "100 per hour" as everybody reads it. The others are [IntervalBucket], [FixedWindow], [CalendarWindow],
// [SlidingCounter], [Pacing] and [Concurrency], and each says in a formula what it promises. Your own [Strategy] is one type.
//
// # Calls
//
// [Limiter.Allow] answers yes or no, [Limiter.Take] says why, [Limiter.Wait] stands in line:
//
//	d, err := limiter.Take(ctx, apiKey, 1)
//	if err == nil && !d.Allowed {
//		seconds, known := d.RetrySeconds()
//		…
//	}
//
// [Limiter.Reserve] takes now what is settled later, when the cost is known. [Limiter.TakeUpTo] takes what is there,
// [Limiter.TakeMany] decides a batch, [Limiter.Peek] only looks. With several limits a call takes from all or from none, and
// [Limiter.TakeAll] does so where each limit has a key or cost of its own.
//
// # What holds
//
// On every store, under any concurrency and whatever the clock does: what a strategy promises is never passed; a lone caller is
// refused only where one unit more would pass it; a refused call changes nothing; waiting exactly RetryAfter gets the same call
// admitted if nobody else came. Costs, debts, waits and memory have bounds, and an error is never a denial.
//
// # Stores
//
// [New] keeps the counts in a [Memory] of its own, for up to ten million keys. Make one with [NewMemory] to bound it otherwise,
// to share it between limiters, to keep it across restarts, or to turn its clock in tests, and give it to [NewWith].
package stint
