package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/stint-go/stint/service/stores"
)

// ErrExists says that a row would have the same name as one that is there.
var ErrExists = errors.New("it exists already")

// Doer runs statements: a [DB], or a transaction of it. Statements have ? for parameters and {user} for the table of that name.
type Doer interface {
	Exec(ctx context.Context, statement string, values ...any) (sql.Result, error)
	Query(ctx context.Context, statement string, values ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, statement string, values ...any) *Row
}

// Exec runs a statement. An error of a name that is taken is [ErrExists].
func (db *DB) Exec(ctx context.Context, statement string, values ...any) (sql.Result, error) {
	result, err := db.sql.ExecContext(ctx, db.dialect.statement(statement), values...)
	return result, db.conceal(err)
}

// Query runs a query for rows, which the caller closes.
func (db *DB) Query(ctx context.Context, statement string, values ...any) (*sql.Rows, error) {
	rows, err := db.sql.QueryContext(ctx, db.dialect.statement(statement), values...)
	return rows, db.conceal(err)
}

// QueryRow runs a query for one row.
func (db *DB) QueryRow(ctx context.Context, statement string, values ...any) *Row {
	return &Row{db.sql.QueryRowContext(ctx, db.dialect.statement(statement), values...), db}
}

// Row is the row of a query for one.
type Row struct {
	row *sql.Row
	db  *DB
}

// Scan reads the row. If there is none the error is [sql.ErrNoRows].
func (r *Row) Scan(into ...any) error { return r.db.conceal(r.row.Scan(into...)) }

// In runs f in a transaction, which is undone if f returns an error.
func (db *DB) In(ctx context.Context, f func(Doer) error) error {
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return db.conceal(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it says so, and after an error there is another one
	if err := f(&transaction{tx, db}); err != nil {
		return err
	}
	return db.conceal(tx.Commit())
}

type transaction struct {
	tx *sql.Tx
	db *DB
}

func (t *transaction) Exec(ctx context.Context, statement string, values ...any) (sql.Result, error) {
	result, err := t.tx.ExecContext(ctx, t.db.dialect.statement(statement), values...)
	return result, t.db.conceal(err)
}

func (t *transaction) Query(ctx context.Context, statement string, values ...any) (*sql.Rows, error) {
	rows, err := t.tx.QueryContext(ctx, t.db.dialect.statement(statement), values...)
	return rows, t.db.conceal(err)
}

func (t *transaction) QueryRow(ctx context.Context, statement string, values ...any) *Row {
	return &Row{t.tx.QueryRowContext(ctx, t.db.dialect.statement(statement), values...), t.db}
}

// Upsert is the end of an INSERT that, where a row with the same keys is there, adds to it or sets it instead: sums are columns to add
// to, sets columns to set. A sum of what is not negative stays at the greatest number there is: beyond it one database would refuse the
// statement, another would make it a number that is not whole.
func (db *DB) Upsert(table, keys string, sums, sets []string) string {
	text := " ON CONFLICT (" + keys + ") DO UPDATE SET "
	fresh := func(column string) string { return "excluded." + column }
	if db.dialect.name == mysqlDialect.name {
		text = " ON DUPLICATE KEY UPDATE "
		fresh = func(column string) string { return "VALUES(" + column + ")" }
	}
	for i, column := range append(append([]string{}, sums...), sets...) {
		if i > 0 {
			text += ", "
		}
		if i >= len(sums) {
			text += column + " = " + fresh(column)
			continue
		}
		text += fmt.Sprintf("%[1]s = CASE WHEN %[2]s.%[1]s > %[4]d - %[3]s THEN %[4]d ELSE %[2]s.%[1]s + %[3]s END", column, table, fresh(column), int64(math.MaxInt64))
	}
	return text
}

// conceal is the error as the caller may show it.
func (db *DB) conceal(err error) error {
	switch {
	case err == nil:
		return nil
	case db.dialect.unique(err):
		return ErrExists
	}
	return stores.Conceal(err, db.address)
}
