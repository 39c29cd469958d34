package sqlstore

import (
	"bytes"
	"database/sql"
	"slices"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// row is one key's row during a call.
type row struct {
	key     []byte
	limit   *stint.Limit // of the last claim on it
	record  record.Record
	there   bool
	changed bool
	err     error // it is there and cannot be read
}

// rowsOf are the rows of claims, distinct and in order, and which one each claim is on.
func rowsOf(claims []stint.Claim) (rows, at []*row) {
	at = make([]*row, len(claims))
	rows = make([]*row, len(claims))
	for i := range claims {
		rows[i] = &row{key: record.AppendKey(nil, claims[i].Limit.ID, claims[i].Key)}
	}
	if len(claims) > 1 {
		slices.SortFunc(rows, func(a, b *row) int { return bytes.Compare(a.key, b.key) })
		rows = slices.CompactFunc(rows, func(a, b *row) bool { return bytes.Equal(a.key, b.key) })
	}
	for i := range claims {
		at[i] = find(rows, record.AppendKey(nil, claims[i].Limit.ID, claims[i].Key))
		at[i].limit = claims[i].Limit
	}
	return rows, at
}

// find is the row of a key; nil if there is none.
func find(rows []*row, key []byte) *row {
	if len(rows) == 1 && bytes.Equal(rows[0].key, key) {
		return rows[0]
	}
	i, found := slices.BinarySearchFunc(rows, key, func(r *row, key []byte) int { return bytes.Compare(r.key, key) })
	if !found {
		return nil
	}
	return rows[i]
}

// forget makes rows as they were before anything was read.
func forget(rows []*row) {
	for _, r := range rows {
		*r = row{key: r.key, limit: r.limit}
	}
}

// values are the row's, in the order of the columns. A row that does not pass its check is never written.
func (r *row) values() []any {
	x := &r.record
	var cells any
	if c := record.AppendCells(nil, x.State); c != nil {
		cells = c
	}
	return []any{r.key, int64(x.Variant), x.State.A, x.State.B, x.State.C, x.Blocked, x.Reset, x.Until(r.limit), cells}
}

// scan reads what a query has found into its rows. The result's columns are those of a row, of which the key is null where nothing
// was found, and then, if timed, the instant. It returns the latest.
func scan(found *sql.Rows, rows []*row, timed bool) (now int64, err error) {
	defer found.Close()
	for found.Next() {
		var key, cells []byte
		var n [7]sql.NullInt64
		into := []any{&key, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &cells}
		var at int64
		if timed {
			into = append(into, &at)
		}
		if err := found.Scan(into...); err != nil {
			return 0, err
		}
		now = max(now, at)
		r := find(rows, key)
		if r == nil {
			continue
		}
		r.there = true
		r.record = record.Record{Variant: uint64(n[0].Int64), Blocked: n[4].Int64, Reset: n[5].Int64}
		r.record.State = stint.State{A: n[1].Int64, B: n[2].Int64, C: n[3].Int64}
		r.err = record.ParseCells(cells, &r.record.State)
	}
	return now, found.Err()
}
