// Package record is what a shared store keeps for one key of one limit, and one step of it in Go. It is for authors of stores; a
// program that limits imports stint and a store.
//
// A store that works with it has three things to do: read the record of a key in such a way that nobody else writes it meanwhile
// (by a lock, or by writing only if it is still the same), step it, and write it back if it has changed:
//
//	var r record.Record
//	… read it; the zero Record is a new key's
//	outcome, changed := r.Step(limit, now, op, registry.Earlier(ctx))
//	… if changed, write it, to be kept until r.Until(limit)
//
// [Record.Step] does what every store must and none should do twice: it refuses blocked keys, carries over what was counted under
// other values of the limit, lends cells to strategies that need them, voids the receipts of before a reset. [StepAll] does it for
// a call with several claims, [AppendKey] makes the key under which a record is kept, [Record.Append] and [Parse] its bytes.
//
// A record that was written under other values of its limit must be carried over by a process that may never have seen them. So a
// store also keeps the values of limits, as text by ID and variant, and a [Registry] remembers them.
//
// What a store may transcribe, as a script or a statement, is one step of a key under one built-in strategy whose record it can
// read by itself: same variant, not blocked. Everything else is rare and goes the way above.
package record
