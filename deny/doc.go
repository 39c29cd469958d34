// Package deny is a store around a store: it remembers refusals, so that whoever keeps calling against a limit costs no round trip
// to the inner store until the limit can have room again:
//
//	store, err := deny.New(redis, deny.Options{})
//	…
//	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(100))
//
// A refusal of a cost c on a key is remembered from the receipt of the answer until its retry-after has passed, and for
// Options.TTL at most. Meanwhile every take of c or more of that key is refused here. It never admits anything: what is not
// remembered is the inner store's to decide.
//
// # What it may get wrong
//
// A key that gets room in another process (by a refund, a reset, a gift, a block that is lifted) is refused here for TTL longer at
// most, a second unless said. What this process does through the wrapper acts at once: any operation on a key but a look or a
// refused take, a failed one included, drops what is remembered of it. The same holds for a limit whose values change:
// nothing is remembered under the new ones yet.
//
// What a remembered refusal says is aged: its retry-after and reset-after shrink as time goes on. For a larger cost than was
// refused, the retry-after is that of the smaller cost, so it may be too short; and what remains may have grown since. Such a
// decision is marked as approximate.
//
// # What is remembered
//
//	One     takes and takes up to, by the least they ask for. Takes within a wait pass on: Wait makes them, and waits
//	All     refused if one of its claims is remembered as refused, and of each other it is known that it would pass
//	Many    each take by itself that is the first on its key; only the others are asked for
//	Looks   pass on, and are not remembered: whoever looks wants to know
//	Refund, Block, charges, gifts, resets: pass on, and drop what is remembered of the key
//	Close   closes the inner store
//
// A refusal of a blocked key stays called that, even if the block ends first and the limit refuses for longer.
//
// Not remembered are errors, and what was refused without the store ([stint.Mark] Degraded or Unknown). A strategy of one's own must
// not refuse less than it grants, or it may be refused for TTL what it would grant.
//
// # Cost
//
// About MaxKeys refusals are kept, in fixed tables without a lock: 16 bytes for each, and about 100 more where one is kept. When a
// table of eight is full, the refusal that ends first makes room. Answering from memory takes some tens of nanoseconds and
// allocates nothing; a call that is passed on pays about as much on top, and each new refusal one allocation.
package deny
