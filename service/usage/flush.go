package usage

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint/service/database"
)

// within bounds whatever the database is asked: a writing, the removal of old rows, a query. One that says nothing any more would
// otherwise hold up all that comes after.
const within = 10 * time.Second

// Flush writes what has been counted, in parts if there is much of it. What cannot be written is kept, and comes with the next one.
func (r *Recorder) Flush(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.wall.reset()
	r.Gather()
	for range 3 + r.pending.len()/cellsAtOnce { // the one that failed before, the rest of it, and what has come since
		cells, sequence := r.pending.hand()
		if len(cells) == 0 {
			break
		}
		rows := rowsOf(cells)
		if err := r.write(ctx, rows, sequence); err != nil {
			r.failed.Add(1)
			r.behind.Store(true)
			return fmt.Errorf("usage: %w", err)
		}
		r.pending.done()
		r.written.Add(int64(len(rows)))
		if len(cells) == cellsAtOnce { // there may be many more, and calls go on
			r.Gather()
		}
	}
	r.behind.Store(false)
	return nil
}

// row is a row to be written.
type row struct {
	at cell
	Counts
}

// rowsOf are the rows of cells, for their own step and all that are longer, in the order of the table's keys, so that instances that write
// at the same time do not wait for each other in a circle.
func rowsOf(cells []row) []row {
	sums := make(map[cell]Counts, 2*len(cells))
	for _, one := range cells {
		for _, step := range steps {
			if step < one.at.step {
				continue
			}
			place := cell{one.at.of, step, step.start(one.at.at)}
			sum := sums[place]
			sum.add(one.Counts)
			sums[place] = sum
		}
	}
	rows := make([]row, 0, len(sums))
	for at, c := range sums {
		rows = append(rows, row{at, c})
	}
	slices.SortFunc(rows, func(a, b row) int { return a.at.compare(b.at) })
	return rows
}

func (c cell) compare(other cell) int {
	return cmp.Or(cmp.Compare(c.step, other.step), cmp.Compare(c.at, other.at), c.of.compare(other.of))
}

// rowsAtOnce is how many rows one statement writes.
const rowsAtOnce = 200

// write writes rows, unless this writing has been made already.
func (r *Recorder) write(ctx context.Context, rows []row, sequence int64) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return r.db.In(ctx, func(tx database.Doer) error { return r.writeIn(ctx, tx, rows, sequence) })
}

// writeIn writes rows in a transaction, unless this writing has been made.
func (r *Recorder) writeIn(ctx context.Context, tx database.Doer, rows []row, sequence int64) error {
	// The row is locked before it is read: a try that was given up may still be on its way, and be made while this one waits for it.
	if _, err := tx.Exec(ctx, "INSERT INTO usage_flush (instance, sequence, updated_at) VALUES (?, 0, ?)"+
		r.db.Upsert("usage_flush", "instance", nil, []string{"updated_at"}), r.instance, r.options.Now().Unix()); err != nil {
		return err
	}
	var made int64
	if err := tx.QueryRow(ctx, "SELECT sequence FROM usage_flush WHERE instance = ?", r.instance).Scan(&made); err != nil || made >= sequence {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE usage_flush SET sequence = ? WHERE instance = ?", sequence, r.instance); err != nil {
		return err
	}
	for len(rows) > 0 {
		part := rows[:min(len(rows), rowsAtOnce)]
		rows = rows[len(part):]
		values := make([]any, 0, 8*len(part))
		for _, one := range part {
			values = append(values, int64(one.at.step), one.at.at, one.at.of.Key, one.at.of.User, one.at.of.Route, one.Admitted, one.Refused, one.Units)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO api_key_usage (step, at, api_key_id, user_name, route, admitted, refused, units) VALUES "+
			strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?), ", len(part)-1)+"(?, ?, ?, ?, ?, ?, ?, ?)"+
			r.db.Upsert("api_key_usage", "step, at, api_key_id, user_name, route", []string{"admitted", "refused", "units"}, nil), values...); err != nil {
			return err
		}
	}
	return nil
}

// sweepEvery is how often old rows are looked for, and sweepSteps how many parts of them are removed at a time: each is a minute of
// seconds, an hour of minutes, and so on, so that no removal holds others up for long.
const (
	sweepEvery = time.Minute
	sweepSteps = 100
	sweepPart  = 60

	// flushesKept is for how long it is known which writings an instance has made: longer than any is tried again.
	flushesKept = 90 * day
)

// Sweep removes rows that are older than they are kept: those whose spans have ended so long ago.
func (r *Recorder) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	now := r.options.Now().Unix()
	for _, step := range steps {
		end := now - int64(r.options.Keep[step]/time.Second) - int64(step) + 1
		for range sweepSteps {
			var oldest sql.NullInt64
			if err := r.db.QueryRow(ctx, "SELECT MIN(at) FROM api_key_usage WHERE step = ?", int64(step)).Scan(&oldest); err != nil {
				return fmt.Errorf("usage: old rows cannot be found: %w", err)
			}
			if !oldest.Valid || oldest.Int64 >= end {
				break
			}
			if _, err := r.db.Exec(ctx, "DELETE FROM api_key_usage WHERE step = ? AND at < ?", int64(step), min(end, oldest.Int64+sweepPart*int64(step))); err != nil {
				return fmt.Errorf("usage: old rows cannot be removed: %w", err)
			}
		}
	}
	_, err := r.db.Exec(ctx, "DELETE FROM usage_flush WHERE updated_at < ?", now-int64(flushesKept/time.Second))
	return err
}
