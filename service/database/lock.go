package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// advisoryLock is held on a session of the database while its tables are made, so that processes which start at once make them one
// after the other. The database gives it up with the session of a process that ends. SQLite has none: there a migration is a
// transaction that locks the file.
type advisoryLock struct{ take, give string }

// The names are of this database alone: MySQL's locks are of the whole server, PostgreSQL's of one database.
var (
	postgresLock = &advisoryLock{"SELECT 1 FROM (SELECT pg_advisory_lock(7608384715226507892)) AS taken", "SELECT CAST(pg_advisory_unlock(7608384715226507892) AS INTEGER)"}
	mysqlLock    = &advisoryLock{"SELECT GET_LOCK(CONCAT('stint:', LEFT(SHA2(DATABASE(), 256), 40)), 3600)", "SELECT RELEASE_LOCK(CONCAT('stint:', LEFT(SHA2(DATABASE(), 256), 40)))"}
)

// SessionLock waits for the lock until ctx ends.
func (l *advisoryLock) SessionLock(ctx context.Context, session *sql.Conn) error {
	return one(ctx, session, l.take)
}

// SessionUnlock gives the lock up.
func (l *advisoryLock) SessionUnlock(ctx context.Context, session *sql.Conn) error {
	return one(ctx, session, l.give)
}

// one is an error where a statement does not answer 1.
func one(ctx context.Context, session *sql.Conn, statement string) error {
	var answer sql.NullInt64
	if err := session.QueryRowContext(ctx, statement).Scan(&answer); err != nil {
		return fmt.Errorf("the lock of the migrations: %w", err)
	}
	if answer.Int64 != 1 {
		return errors.New("the lock of the migrations is not to be had")
	}
	return nil
}
