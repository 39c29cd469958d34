// Package sqlstore keeps the counts in PostgreSQL, MySQL, MariaDB or SQLite, through database/sql and a driver of the program's own
// choice, so that any number of machines share them in the database that they have already:
//
//	import _ "github.com/jackc/pgx/v5/stdlib"
//
//	store, err := sqlstore.Open(ctx, "postgres://app:secret@db.example.com/app", sqlstore.Options{})
//	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(100).WithID("hourly"))
//
// [New] takes a database that the program has opened itself. Limits need an ID of their own where their values may change: what was
// counted is carried over, also by processes that have never seen the old values.
//
// # What it promises
//
// All of what stint promises: exact for every strategy, also one of your own; all or nothing for a call with several claims; a refusal
// writes nothing. Time is the database's own (for SQLite the machine's), so processes with different clocks agree. What was granted is
// on disk before the caller knows of it.
//
// # What it costs
//
// A take on PostgreSQL and MariaDB is one statement for the token bucket, pacing, the fixed window and the sliding window counter, on
// PostgreSQL for the interval bucket and the calendar window, too; anything else is a transaction of four or five round trips. Either
// way it waits for the disk once, and takes on one key wait for each other: a hot key is granted a few hundred units a second. Many
// calls decided at once ([Store.Many], [stint.Limiter.TakeMany], or the store of package batch for calls that merely come at the same
// time) share that one wait: up to 512 a transaction, whether they are on one key or on many; takes that are all of one key and all
// fit are one statement again. Put batch around it wherever speed matters. A refusal on PostgreSQL and a look take no lock.
//
// [Options.Relaxed] does not wait for the disk, and says what a crash loses. An UNLOGGED table in PostgreSQL (ALTER TABLE stint_keys SET
// UNLOGGED, by an administrator) is faster still: a crash of the server empties it, so that every key is new once more.
//
// # For operators
//
// The tables are stint_keys (a row a key, about 150 bytes; a sliding log up to 5 KB), stint_values (a row for each set of values that a
// limit has had), stint_receipts and stint_schema. New makes them at the first start, which needs the privilege to create tables; or
// let an administrator run [Schema] and set [Options.NoSchema]. Afterwards SELECT, INSERT, UPDATE and DELETE on them are enough, and New
// checks for them. Tables of a newer version are refused, with a message, not guessed at.
//
// Rows that have said nothing for a minute are removed in small steps by each process ([Options.SweepEvery]). A row without its process is
// harmless: it means what it says, whenever somebody asks. On PostgreSQL autovacuum must be on, as it is by default.
//
// Connections are the store's own while it is open ([Options.Connections]), with settings of their own: READ COMMITTED, plans by the
// key. A pooler in between must give each connection to one client (PgBouncer: session pooling), since statements are prepared. Keys
// longer than 200 bytes are kept as a SHA-256. No error shows a password.
//
// A lost server is an error after [Options.Timeout] at the latest, never a denial, and the store goes on by itself when the server is
// back. What surely was not written is tried again, a bounded number of times: deadlocks, serialization failures, a connection that was
// dead before. [ErrUnknown] says that a decision may or may not have been written: its units stay charged if it was. What to answer
// meanwhile is for package failover to choose.
//
// Every clock here is as fine as a tick, so no limit is refused for being too fine. On MariaDB and MySQL a statement's clock shows when
// it began. Transactions therefore read it after they have locked; a take of one statement that waited L for its key counts L earlier,
// and a token bucket admits at most r·L more for it. A clock of the database's machine that steps back grants nothing; one that jumps
// ahead by x is worth what x refills.
package sqlstore
