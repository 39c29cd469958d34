package sqlstore

import (
	"context"
	"strings"
	"time"
)

// sqlite is SQLite: one file, one writer at a time, in any number of processes on one machine.
type sqlite struct{}

// settings let a statement wait for another process for a moment only: a driver cannot end such a wait when its context ends, and
// the store tries again by itself.
func (sqlite) settings(o *Options) []string {
	flush := "FULL"
	if o.Relaxed {
		flush = "NORMAL"
	}
	return []string{"PRAGMA busy_timeout = 100", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = " + flush}
}

// A transaction that began as a reader could not become the writer while another one is.
func (sqlite) begin() string { return "BEGIN IMMEDIATE" }

func (d sqlite) lock(ctx context.Context, s *session, rows []*row) (int64, error) {
	return d.look(ctx, s, rows) // the transaction holds the only lock that there is
}

func (d sqlite) look(ctx context.Context, s *session, rows []*row) (int64, error) {
	args := keys(rows)
	found, err := s.query(ctx, "SELECT "+columns+" FROM stint_keys WHERE k IN "+tuples(len(args), 1), args...)
	if err != nil {
		return 0, err
	}
	if _, err := scan(found, rows, false); err != nil {
		return 0, err
	}
	return d.clock(ctx, s)
}

// clock is the machine's: SQLite's own shows milliseconds, and all who use the file are on one machine.
func (sqlite) clock(context.Context, *session) (int64, error) { return time.Now().UnixMicro(), nil }

func (sqlite) write(ctx context.Context, s *session, rows []*row) error {
	size := rounded(len(rows))
	query := "INSERT INTO stint_keys (" + columns + ") VALUES " + tuples(columnCount, size) + " ON CONFLICT (k) DO UPDATE SET " + updates("excluded.?")
	_, err := s.exec(ctx, query, values(rows, size)...)
	return err
}

// insert is write: nobody else makes a row meanwhile.
func (d sqlite) insert(ctx context.Context, s *session, rows []*row) (int64, error) {
	return int64(len(rows)), d.write(ctx, s, rows)
}

func (sqlite) insertNew(table, columns string) string {
	return "INSERT INTO " + table + " (" + columns + ") VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
}

func (sqlite) parameters(query string) string { return query }

func (sqlite) failure(err error) failure {
	switch text := err.Error(); {
	case strings.Contains(text, "database is locked"), strings.Contains(text, "database table is locked"), strings.Contains(text, "SQLITE_BUSY"):
		return conflict
	case strings.Contains(text, "no such table"):
		return noTable
	case strings.Contains(text, "readonly"):
		return noRight
	case strings.Contains(text, "unable to open"):
		return noDatabase
	}
	return other
}

func (sqlite) answered(error) bool { return true }
