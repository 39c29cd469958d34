package sqlstore

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// postgres is PostgreSQL. Many keys and rows travel as one array each, written as text, which every driver can send: so one
// statement serves any number of them.
type postgres struct{}

// settings are one statement. Every statement of the store finds its rows by their keys: a plan that was made while the table was small
// would read all of it, and to plan anew each time is slow.
func (postgres) settings(o *Options) []string {
	commit := "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END"
	if o.Relaxed {
		commit = "'off'"
	}
	return []string{"SELECT set_config('synchronous_commit', " + commit + ", false), set_config('default_transaction_isolation', 'read committed', false)," +
		" set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)," +
		" set_config('plan_cache_mode', 'force_generic_plan', false)"}
}

func (postgres) begin() string { return "BEGIN" }

// pgClock is the clock itself: now() would be the transaction's start.
const pgClock = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"

// The clock is read when a row is handed on, which is after it was locked; so the latest of the instants is after all locks.
const pgLock = "WITH held AS MATERIALIZED (SELECT " + columns + " FROM stint_keys WHERE k = ANY (?::text::bytea[]) ORDER BY k FOR UPDATE)" +
	" SELECT held.*, " + pgClock + " FROM (VALUES (1)) AS one LEFT JOIN held ON true"

func (d postgres) lock(ctx context.Context, s *session, rows []*row) (int64, error) {
	found, err := s.query(ctx, d.parameters(pgLock), byteas(rows))
	if err != nil {
		return 0, err
	}
	return scan(found, rows, true)
}

const pgLook = "SELECT found.*, " + pgClock + " FROM (VALUES (1)) AS one LEFT JOIN" +
	" (SELECT " + columns + " FROM stint_keys WHERE k = ANY (?::text::bytea[])) AS found ON true"

func (d postgres) look(ctx context.Context, s *session, rows []*row) (int64, error) {
	found, err := s.query(ctx, d.parameters(pgLook), byteas(rows))
	if err != nil {
		return 0, err
	}
	return scan(found, rows, true)
}

func (postgres) clock(ctx context.Context, s *session) (int64, error) {
	return s.number(ctx, "SELECT "+pgClock)
}

const pgInsert = "INSERT INTO stint_keys (" + columns + ") SELECT * FROM unnest(?::text::bytea[], ?::text::bigint[], ?::text::bigint[]," +
	" ?::text::bigint[], ?::text::bigint[], ?::text::bigint[], ?::text::bigint[], ?::text::bigint[], ?::text::bytea[]) AS n ON CONFLICT (k) DO "

func (d postgres) write(ctx context.Context, s *session, rows []*row) error {
	_, err := s.exec(ctx, d.parameters(pgInsert+"UPDATE SET "+updates("excluded.?")), arrays(rows)...)
	return err
}

func (d postgres) insert(ctx context.Context, s *session, rows []*row) (int64, error) {
	return s.exec(ctx, d.parameters(pgInsert+"NOTHING"), arrays(rows)...)
}

func (d postgres) insertNew(table, columns string) string {
	return d.parameters("INSERT INTO " + table + " (" + columns + ") VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
}

func (postgres) parameters(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, more := strings.Cut(query, "?")
		b.WriteString(before)
		if !more {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

func (postgres) failure(err error) failure {
	switch code := pgState(err); {
	case code == "40001", code == "40P01", code == "55P03":
		return conflict
	case code == "42P01", code == "3F000":
		return noTable
	case code == "42501":
		return noRight
	case strings.HasPrefix(code, "28"), code == "3D000":
		return noDatabase
	}
	return other
}

func (postgres) answered(err error) bool {
	code := pgState(err)
	return code != "" && !strings.HasPrefix(code, "57P") && !strings.HasPrefix(code, "08") // it is shutting down, or the connection failed
}

// pgState is the SQLSTATE of an error of pgx or lib/pq; "" if it has none.
func pgState(err error) string {
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		return coded.SQLState()
	}
	return ""
}

// byteas is an array of the rows' keys.
func byteas(rows []*row) string {
	var b strings.Builder
	for i, r := range rows {
		appendBytea(&b, i, r.key)
	}
	return array(&b)
}

// arrays are the columns of the rows, an array each.
func arrays(rows []*row) []any {
	var lists [columnCount]strings.Builder
	for i, r := range rows {
		for column, value := range r.values() {
			b := &lists[column]
			switch value := value.(type) {
			case []byte:
				appendBytea(b, i, value)
			case int64:
				appendText(b, i, strconv.FormatInt(value, 10))
			default:
				appendText(b, i, "NULL")
			}
		}
	}
	args := make([]any, columnCount)
	for i := range lists {
		args[i] = array(&lists[i])
	}
	return args
}

func appendBytea(b *strings.Builder, i int, value []byte) {
	appendText(b, i, `"\\x`+hex.EncodeToString(value)+`"`)
}

func appendText(b *strings.Builder, i int, value string) {
	if i > 0 {
		b.WriteByte(',')
	}
	b.WriteString(value)
}

func array(b *strings.Builder) string { return "{" + b.String() + "}" }
