// Package accounts knows who calls a service: users, their API keys, and the values of limits that plans, users and keys have for
// themselves. It keeps them in a database (SQLite, PostgreSQL, MySQL or MariaDB; see package database).
//
//	a := accounts.New(db)
//	a.CreateUser(ctx, "alice", "pro")
//	key, secret, err := a.CreateKey(ctx, "alice", accounts.KeyOptions{})      // secret is shown once
//
// A limit is the user's, over all keys that the user has. An API key is the prefix stint_, 8 characters that name it, 160 random bits, and
// a checksum by which a slip is told from a guess. The database holds the SHA-256 of it and never the key.
//
// The value of a limit for a caller is the first there is of: the key's own, the user's own, that of the wildcard with the most
// characters that fits the user's name, that of the user's plan. If there is none the policy has it.
//
// A [Directory] looks keys up for a service: cached for two seconds, so that a revoked key is dead on every instance within that time;
// one look-up of a key at a time; a limit on failed tries of an address; and the last known answers for a while where the database is
// lost. A look-up from the cache takes a few hundred nanoseconds whatever the number of users.
//
// All types are safe for concurrent use.
package accounts
