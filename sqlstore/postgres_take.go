package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

func (postgres) takes(*transcription) bool { return true }

// take reads the row first without a lock, so that a refusal waits for nobody and writes nothing. If the take may pass the row is
// locked, and the clock read and the decision made once more: a row that others have changed meanwhile comes as it is now, since the
// isolation is READ COMMITTED. A row that is missing is made unless somebody else makes it.
func (d postgres) take(ctx context.Context, s *session, t *take) error {
	name := "postgres " + t.name
	clock := pgClock
	args := []any{t.key, int64(t.limit.Variant())}
	if t.clock != nil {
		name, clock = name+" by a clock", "(SELECT clock FROM ask)"
	}
	for _, n := range t.values() {
		args = append(args, n)
	}
	if t.clock != nil {
		args = append(args, t.clock())
	}
	query := s.written(name, func() statement { return d.takeStatement(t.transcription, clock, t.clock != nil) })
	p, err := s.prepared(ctx, query.text)
	if err != nil {
		return err
	}
	var n [6]sql.NullInt64
	err = p.QueryRowContext(ctx, args...).Scan(&t.now, &t.there, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &t.wrote)
	if err != nil || !t.there {
		return err
	}
	t.record = record.Record{Variant: uint64(n[0].Int64), Blocked: n[4].Int64, Reset: n[5].Int64}
	t.record.State = stint.State{A: n[1].Int64, B: n[2].Int64, C: n[3].Int64}
	return nil
}

func (d postgres) takeStatement(t *transcription, clock string, given bool) statement {
	numbers := ""
	for _, name := range t.numbers {
		numbers += ", ?::bigint AS " + name + "_"
	}
	if given {
		numbers += ", ?::bigint AS clock"
	}
	sure := "(NOT x.there OR x.variant = ask.variant AND x.blocked = 0 AND x.reset_at = 0 AND x.plain) AND x.now BETWEEN 0 AND " + maxInstant
	b, c := "0", "0"
	if t.b != "" {
		b, c = d.expression(t, t.b), d.expression(t, t.c)
	}
	const words = "variant, a, b, c, blocked, reset_at"
	return statement{text: d.parameters(`
WITH ask AS MATERIALIZED (SELECT ?::bytea AS k, ?::bigint AS variant` + numbers + `),
seen AS MATERIALIZED (
  SELECT ` + clock + ` AS now, t.k IS NOT NULL AS there, t.variant, coalesce(t.a, 0) AS a, coalesce(t.b, 0) AS b, coalesce(t.c, 0) AS c,
    t.blocked, t.reset_at, t.cells IS NULL AS plain
  FROM ask LEFT JOIN stint_keys AS t ON t.k = ask.k),
may AS MATERIALIZED (SELECT 1 FROM seen AS x, ask WHERE ` + sure + ` AND ` + d.expression(t, t.passes) + `),
held AS MATERIALIZED (
  SELECT t.* FROM stint_keys AS t WHERE t.k = (SELECT k FROM ask) AND EXISTS (SELECT FROM may) FOR UPDATE),
found AS MATERIALIZED (
  SELECT ` + clock + ` AS now, true AS there, variant, a, b, c, blocked, reset_at, cells IS NULL AS plain FROM held
  UNION ALL SELECT seen.* FROM seen, may WHERE NOT there),
next AS MATERIALIZED (
  SELECT x.there, ` + d.expression(t, t.a) + ` AS a, ` + b + ` AS b, ` + c + ` AS c
  FROM found AS x, ask WHERE ` + sure + ` AND ` + d.expression(t, t.passes) + `),
changed AS (
  UPDATE stint_keys AS t SET a = next.a, b = next.b, c = next.c, keep_until = next.a / 2048 + 1
  FROM next WHERE t.k = (SELECT k FROM ask) AND next.there RETURNING 1),
made AS (
  INSERT INTO stint_keys (` + columns + `)
  SELECT ask.k, ask.variant, next.a, next.b, next.c, 0, 0, next.a / 2048 + 1, NULL FROM next, ask WHERE NOT next.there
  ON CONFLICT (k) DO NOTHING RETURNING 1)
SELECT now, there, ` + words + `, EXISTS (SELECT FROM changed) OR EXISTS (SELECT FROM made) FROM found
UNION ALL SELECT now, there, ` + words + `, false FROM seen WHERE NOT EXISTS (SELECT FROM found)`)}
}

// expression is one of a transcription's in this dialect, about the row x and the numbers in ask.
func (postgres) expression(t *transcription, text string) string {
	text = strings.NewReplacer("//", "/", "{now}", "x.now", "{a}", "x.a", "{b}", "x.b", "{c}", "x.c").Replace(text)
	for _, name := range t.numbers {
		text = strings.ReplaceAll(text, "{"+name+"}", "ask."+name+"_")
	}
	return "(" + text + ")"
}
