package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/stint-go/stint/service/database"
)

// The errors that say what is wrong with what was asked.
var (
	ErrExists   = database.ErrExists
	ErrNotFound = errors.New("there is none of that name")
)

// InvalidError says what cannot be written, and what is allowed.
type InvalidError struct{ What, Allowed string }

func (e *InvalidError) Error() string { return fmt.Sprintf("%s: allowed is %s", e.What, e.Allowed) }

// Accounts are the users, keys and plans in a database.
type Accounts struct {
	db  *database.DB
	now func() time.Time
}

// New makes accounts of a database, which the caller closes.
func New(db *database.DB) *Accounts { return &Accounts{db, time.Now} }

// MaxPage bounds how many are listed at once.
const MaxPage = 1000

// page is how many to list: n within 1 … MaxPage, and 100 if it is not said.
func page(n int) int {
	if n <= 0 {
		return 100
	}
	return min(n, MaxPage)
}

// seconds are how times are stored.
func seconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

func timeOf(stored sql.NullInt64) *time.Time {
	if !stored.Valid {
		return nil
	}
	t := time.Unix(stored.Int64, 0).UTC()
	return &t
}

// changed is the error of a change of one row that has to be there.
func changed(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return ErrNotFound
}

// none turns the absence of a row into the error for it.
func none(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// all reads rows to their end.
func all[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}

// Empty says whether there is no user at all.
func (a *Accounts) Empty(ctx context.Context) (bool, error) {
	var one int
	err := a.db.QueryRow(ctx, "SELECT 1 FROM {user} LIMIT 1").Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return false, err
}
