package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Query says which rows are asked for. Of User, Key and Route those that are empty stand for all.
type Query struct {
	User, Key, Route string
	From, To         time.Time // From is included, To is not
	Step             Step
	Most             int // at most; 0 takes MaxRows
}

// MaxRows is how many rows a query gives at most.
const MaxRows = 10_000

// Row is what was counted in one span.
type Row struct {
	At    time.Time `json:"at"`
	User  string    `json:"user"`
	Key   string    `json:"key"`
	Route string    `json:"route"`
	Counted
}

// Counted are a row's numbers.
type Counted struct {
	Admitted int64   `json:"admitted"`
	Refused  int64   `json:"refused"`
	Units    int64   `json:"units"`
	Rate     float64 `json:"rate"` // calls a second, admitted or not
}

// ErrRange says that a query asks for no time, or for too much.
var ErrRange = errors.New("usage: from must come before to")

// Rows are the rows that a query asks for, by time: those of the database, and what this instance has counted and not written yet.
func (r *Recorder) Rows(ctx context.Context, q Query) ([]Row, error) {
	if !slices.Contains(steps[:], q.Step) {
		return nil, fmt.Errorf("usage: a step of %d s: allowed are 1, 60, 3600 and 86400", q.Step)
	}
	if !q.From.Before(q.To) {
		return nil, ErrRange
	}
	if q.Most <= 0 || q.Most > MaxRows {
		q.Most = MaxRows
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case r.queries <- struct{}{}:
		defer func() { <-r.queries }()
	case <-ctx.Done():
		return nil, fmt.Errorf("usage: other queries take too long: %w", ctx.Err())
	}
	// Memory first: what is written meanwhile is then counted twice for a moment, not missed.
	found := r.unwritten(&q)
	if err := r.stored(ctx, &q, found); err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	rows := make([]Row, 0, len(found))
	for at, c := range found {
		rows = append(rows, Row{time.Unix(at.at, 0).UTC(), at.of.User, at.of.Key, at.of.Route,
			Counted{c.Admitted, c.Refused, c.Units, float64(c.Admitted+c.Refused) / float64(q.Step)}})
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.User, b.User), strings.Compare(a.Key, b.Key), strings.Compare(a.Route, b.Route))
	})
	return rows[:min(len(rows), q.Most)], nil
}

// fits says whether a cell is asked for; the second is the place of its row.
func (q *Query) fits(at cell) (cell, bool) {
	if at.step > q.Step || q.User != "" && q.User != at.of.User || q.Key != "" && q.Key != at.of.Key || q.Route != "" && q.Route != at.of.Route {
		return at, false
	}
	at.step, at.at = q.Step, q.Step.start(at.at)
	return at, at.at >= q.Step.start(q.From.Unix()) && at.at < q.To.Unix()
}

// unwritten are the counts in memory.
func (r *Recorder) unwritten(q *Query) map[cell]Counts {
	found := map[cell]Counts{}
	add := func(at cell, c Counts) {
		if place, ok := q.fits(at); ok {
			sum := found[place]
			sum.add(c)
			found[place] = sum
		}
	}
	r.moving.RLock()
	defer r.moving.RUnlock()
	r.pending.each(add)
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for at, c := range s.cells {
			add(at, *c)
		}
		s.mu.Unlock()
	}
	return found
}

// stored adds what is in the database.
func (r *Recorder) stored(ctx context.Context, q *Query, into map[cell]Counts) error {
	where, values := "step = ? AND at >= ? AND at < ?", []any{int64(q.Step), q.Step.start(q.From.Unix()), q.To.Unix()}
	for _, by := range []struct{ column, value string }{{"user_name", q.User}, {"api_key_id", q.Key}, {"route", q.Route}} {
		if by.value != "" {
			where, values = where+" AND "+by.column+" = ?", append(values, by.value)
		}
	}
	rows, err := r.db.Query(ctx, "SELECT at, user_name, api_key_id, route, admitted, refused, units FROM api_key_usage WHERE "+where+
		" ORDER BY at, user_name, api_key_id, route LIMIT ?", append(values, q.Most)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		at := cell{step: q.Step}
		var c Counts
		if err := rows.Scan(&at.at, &at.of.User, &at.of.Key, &at.of.Route, &c.Admitted, &c.Refused, &c.Units); err != nil {
			return err
		}
		sum := into[at]
		sum.add(c)
		into[at] = sum
	}
	return rows.Err()
}
