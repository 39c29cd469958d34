package sqlstore

import (
	"context"
	"strings"
)

// Dialect is the SQL that a database speaks.
type Dialect string

// The dialects.
const (
	Postgres Dialect = "postgres" // PostgreSQL 12 and newer
	MySQL    Dialect = "mysql"    // MySQL 5.7 and newer, MariaDB 10.5 and newer
	SQLite   Dialect = "sqlite"   // SQLite 3.35 and newer
)

// dialect is what differs between databases: one file each, with the same parts in the same order. Rows are distinct and in the
// order of their keys, which is the order in which they are locked.
type dialect interface {
	// settings are statements that every session begins with.
	settings(o *Options) []string

	// begin begins a transaction.
	begin() string

	// lock finds the rows that are there and locks them until the transaction ends, and says the instant after that.
	lock(ctx context.Context, s *session, rows []*row) (now int64, err error)

	// look finds the rows that are there, and the instant.
	look(ctx context.Context, s *session, rows []*row) (now int64, err error)

	// clock is the database's instant.
	clock(ctx context.Context, s *session) (now int64, err error)

	// write writes rows that are there and locked; insert makes those that are not, and says how many nobody else has made.
	write(ctx context.Context, s *session, rows []*row) error
	insert(ctx context.Context, s *session, rows []*row) (made int64, err error)

	// insertNew is a statement for three values that leaves a row alone that is there; its parameters are the dialect's.
	insertNew(table, columns string) string

	// parameters rewrites the question marks of a statement into the dialect's parameters.
	parameters(query string) string

	// failure sorts the errors of the database, and answered says whether an error is the database's own answer to a statement, which
	// then has changed nothing.
	failure(err error) failure
	answered(err error) bool
}

// failure is what an error of the database says about the transaction that met it.
type failure uint8

const (
	other      failure = iota
	conflict           // undone because of another one: a deadlock, a serialization failure, a row that two made at once
	noTable            // the table is not there
	noRight            // the user may not do that
	noDatabase         // the database or the user is not there, or the password is wrong
)

func (d Dialect) dialect() (dialect, error) {
	switch d {
	case Postgres:
		return postgres{}, nil
	case MySQL:
		return mysql{}, nil
	case SQLite:
		return sqlite{}, nil
	}
	return nil, errorf("dialect %q: must be %q, %q or %q", string(d), Postgres, MySQL, SQLite)
}

// columns are those of a row, in the order in which scan and values have them.
const columns = "k, variant, a, b, c, blocked, reset_at, keep_until, cells"

const columnCount = 9

// tuples is "(?,…,?),(?,…,?)" of so many columns and rows.
func tuples(columns, rows int) string {
	tuple := "(" + strings.Repeat("?,", columns-1) + "?)"
	return strings.Repeat(tuple+",", rows-1) + tuple
}

// rounded is n rounded up to a power of two, so that there are few different statements. What is too much is filled up by
// repeating the last row.
func rounded(n int) int {
	size := 1
	for size < n {
		size *= 2
	}
	return size
}

// keys are the keys of rows as arguments, filled up.
func keys(rows []*row) []any {
	args := make([]any, rounded(len(rows)))
	for i := range args {
		args[i] = rows[min(i, len(rows)-1)].key
	}
	return args
}

// values are the values of rows as arguments, filled up if they may be repeated.
func values(rows []*row, size int) []any {
	args := make([]any, 0, size*columnCount)
	for i := range size {
		args = append(args, rows[min(i, len(rows)-1)].values()...)
	}
	return args
}

// updates is "a = f(a), b = f(b), …" of all columns but the key.
func updates(format string) string {
	list := strings.Split(columns, ", ")[1:]
	for i, column := range list {
		list[i] = column + " = " + strings.ReplaceAll(format, "?", column)
	}
	return strings.Join(list, ", ")
}
