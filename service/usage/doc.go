// Package usage counts what was admitted and refused, by user, API key and route, and keeps it in the accounts' database.
//
//	r, err := usage.New(db, usage.Options{})
//	go r.Run(ctx)
//	r.Count(usage.Of{User: "alice", Key: "7CtILv3s", Route: "GET /limit"}, true, 1)
//	rows, err := r.Rows(ctx, usage.Query{User: "alice", Step: usage.Minute, From: from, To: to})
//
// Counts are added up in memory by second, and written every second in one transaction, by second, minute, hour and day at once: never a
// row for a request. To count costs about a hundred nanoseconds and allocates nothing but once a second for what was not seen in it yet.
//
// Nothing is lost by [Recorder.Close]; a process that is killed loses what it has counted since the last writing, a second unless said. A
// writing whose answer was lost is tried again and does not count twice. While the database is slow or lost, seconds are merged into
// minutes, and what passes [Options.MaxCells] then is lost and counted as such.
//
// [Recorder.Top] says who is refused most now, from a sketch of bounded size.
package usage
