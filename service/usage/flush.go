package usage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint/service/database"
)

// flushWithin bounds a writing.
const flushWithin = 10 * time.Second

// Flush writes what has been counted. What cannot be written is kept, and comes with the next one.
func (r *Recorder) Flush(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.wall.reset()
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	for range 2 { // one that failed before, and what has come since
		r.lost.Add(r.pending.add(r.take(), r.options.MaxCells))
		cells, sequence := r.pending.hand()
		if cells == nil {
			return nil
		}
		rows := rowsOf(cells)
		if err := r.write(ctx, rows, sequence); err != nil {
			r.failed.Add(1)
			return fmt.Errorf("usage: %w", err)
		}
		r.pending.done()
		r.written.Add(int64(len(rows)))
	}
	return nil
}

// row is a row to be written.
type row struct {
	at cell
	Counts
}

// rowsOf are the rows of cells, for their own step and all that are longer, in the order of the table's keys, so that instances that write
// at the same time do not wait for each other in a circle.
func rowsOf(cells map[cell]Counts) []row {
	sums := make(map[cell]Counts, 2*len(cells))
	for at, c := range cells {
		for _, step := range steps {
			if step < at.step {
				continue
			}
			place := cell{at.of, step, step.start(at.at)}
			sum := sums[place]
			sum.add(c)
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
	return cmp.Or(cmp.Compare(c.step, other.step), cmp.Compare(c.at, other.at), strings.Compare(c.of.Key, other.of.Key),
		strings.Compare(c.of.User, other.of.User), strings.Compare(c.of.Route, other.of.Route))
}

// rowsAtOnce is how many rows one statement writes.
const rowsAtOnce = 200

// write writes rows, unless this writing has been made already.
func (r *Recorder) write(ctx context.Context, rows []row, sequence int64) error {
	return r.db.In(ctx, func(tx database.Doer) error {
		var made int64
		err := tx.QueryRow(ctx, "SELECT sequence FROM usage_flush WHERE instance = ?", r.instance).Scan(&made)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if made >= sequence {
			return nil
		}
		_, err = tx.Exec(ctx, "INSERT INTO usage_flush (instance, sequence, updated_at) VALUES (?, ?, ?)"+
			r.db.Upsert("usage_flush", "instance", nil, []string{"sequence", "updated_at"}), r.instance, sequence, r.options.Now().Unix())
		if err != nil {
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
	})
}

// sweepEvery is how often old rows are looked for, and sweepSteps how many parts of them are removed at a time: each is a minute of
// seconds, an hour of minutes, and so on, so that no removal holds others up for long.
const (
	sweepEvery = time.Minute
	sweepSteps = 100
	sweepPart  = 60
)

// Sweep removes rows that are older than they are kept.
func (r *Recorder) Sweep(ctx context.Context) error {
	now := r.options.Now().Unix()
	for _, step := range steps {
		end := now - int64(r.options.Keep[step]/time.Second)
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
	_, err := r.db.Exec(ctx, "DELETE FROM usage_flush WHERE updated_at < ?", now-int64(day/time.Second))
	return err
}
