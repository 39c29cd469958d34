package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// mysql is MySQL and MariaDB.
type mysql struct{}

// Under READ COMMITTED a key that is not there locks no gap between keys, which others would wait for.
func (mysql) settings(*Options) []string {
	return []string{
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, innodb_lock_wait_timeout = 5",
	}
}

// recognized is the dialect of the server that answers.
func (d mysql) recognized(ctx context.Context, s *session) (dialect, error) {
	var version string
	if err := s.conn.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return nil, err
	}
	if strings.Contains(version, "MariaDB") {
		return mariadb{}, nil
	}
	return d, nil
}

func (mysql) begin() string { return "START TRANSACTION" }

// myClock is in UTC: in the session's time zone an hour may come twice. It is the instant at which a statement begins.
const myClock = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"

// The clock is a statement of its own, since the locking one begins before it waits for a lock.
func (d mysql) lock(ctx context.Context, s *session, rows []*row) (int64, error) {
	if err := d.find(ctx, s, rows, " ORDER BY k FOR UPDATE"); err != nil {
		return 0, err
	}
	return d.clock(ctx, s)
}

func (d mysql) look(ctx context.Context, s *session, rows []*row) (int64, error) {
	if err := d.find(ctx, s, rows, ""); err != nil {
		return 0, err
	}
	return d.clock(ctx, s)
}

func (mysql) find(ctx context.Context, s *session, rows []*row, how string) error {
	args := keys(rows)
	found, err := s.query(ctx, "SELECT "+columns+" FROM stint_keys WHERE k IN "+tuples(len(args), 1)+how, args...)
	if err != nil {
		return err
	}
	_, err = scan(found, rows, false)
	return err
}

func (mysql) clock(ctx context.Context, s *session) (int64, error) {
	return s.number(ctx, "SELECT "+myClock)
}

func (mysql) write(ctx context.Context, s *session, rows []*row) error {
	size := rounded(len(rows))
	query := "INSERT INTO stint_keys (" + columns + ") VALUES " + tuples(columnCount, size) + " ON DUPLICATE KEY UPDATE " + updates("VALUES(?)")
	_, err := s.exec(ctx, query, values(rows, size)...)
	return err
}

// insert meets a row that somebody else has made as an error, which is a conflict.
func (mysql) insert(ctx context.Context, s *session, rows []*row) (made int64, err error) {
	for len(rows) > 0 {
		size := rounded(len(rows)+1) / 2 // the largest power of two in it
		_, err := s.exec(ctx, "INSERT INTO stint_keys ("+columns+") VALUES "+tuples(columnCount, size), values(rows[:size], size)...)
		if err != nil {
			return made, err
		}
		made += int64(size)
		rows = rows[size:]
	}
	return made, nil
}

func (mysql) insertNew(table, columns string) string {
	return "INSERT IGNORE INTO " + table + " (" + columns + ") VALUES (?, ?, ?)"
}

func (mysql) parameters(query string) string { return query }

func (mysql) failure(err error) failure {
	switch myNumber(err) {
	case 1205, 1213, 1062, 1020: // lock wait timeout, deadlock, duplicate key, changed since it was read
		return conflict
	case 1146:
		return noTable
	case 1044, 1142, 1143, 1227, 1370:
		return noRight
	case 1045, 1049, 1698:
		return noDatabase
	}
	return other
}

func (mysql) answered(err error) bool {
	number := myNumber(err)
	return number >= 1000 && number < 2000 && number != 1053 && number != 1317 // it is shutting down, or was interrupted
}

// myNumber is the number of a MySQL error, as every driver puts it at the beginning of its text; 0 if it has none.
func myNumber(err error) int {
	for ; err != nil; err = errors.Unwrap(err) {
		var number int
		if text, ok := strings.CutPrefix(err.Error(), "Error "); ok {
			if _, err := fmt.Sscanf(text, "%d", &number); err == nil {
				return number
			}
		}
	}
	return 0
}
