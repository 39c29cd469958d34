// Package database is the database in which a service keeps its accounts and their usage: SQLite, PostgreSQL, MySQL or MariaDB, by its URL.
//
//	db, err := database.Open(ctx, "sqlite:/var/lib/stint/accounts.db", database.Options{})
//
// It knows where the tables are made (the folder migrations, one for each dialect) and what differs between databases, but no table's
// meaning: that is with packages accounts and usage. Statements are written once, with ? for parameters and {user} for the table of
// that name, which is a reserved word here and there.
//
// Migrations are embedded and run by whoever opens the database first. Several processes may open it at once. A database of a newer
// version is refused with [*VersionError], since this process does not know what its tables mean.
package database
