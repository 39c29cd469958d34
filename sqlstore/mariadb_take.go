package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// mariadb is MySQL that can return what a statement has written.
type mariadb struct{ mysql }

func (mariadb) takes(t *transcription) bool { return t.b == "" }

// take makes the row or changes it. A change that keeps every value writes nothing. Each value is worked out from the state before,
// so that the one column that it is in is written last; more than one word cannot be written so, and is left to the transaction.
//
// The clock is that of the statement's begin: if it has to wait L for the row its instant is L old, and a token bucket admits at most
// r·L more for it.
func (d mariadb) take(ctx context.Context, s *session, t *take) error {
	name := "mariadb " + t.name
	if t.clock != nil {
		name += " by a clock"
	}
	query := s.written(name, func() string { return d.takeStatement(t.transcription, t.clock != nil) })
	tag := nonce()
	args := []any{t.key, int64(t.limit.Variant()), tag}
	if t.clock != nil {
		args = append(args, t.clock())
	}
	for _, n := range t.values() {
		args = append(args, n)
	}
	if t.clock != nil {
		args = append(args, args[3])
	}
	p, err := s.prepared(ctx, query)
	if err != nil {
		return err
	}
	var variant, a, b, c, blocked, reset, by int64
	err = p.QueryRowContext(ctx, args...).Scan(&t.now, &variant, &a, &b, &c, &blocked, &reset, &by)
	if errors.Is(err, sql.ErrNoRows) {
		return stint.ErrClock
	}
	if err != nil {
		return err
	}
	t.there, t.wrote, t.after = true, by == tag, true
	t.record = record.Record{Variant: uint64(variant), Blocked: blocked, Reset: reset, State: stint.State{A: a, B: b, C: c}}
	return nil
}

func (d mariadb) takeStatement(t *transcription, given bool) string {
	clock := myClock
	if given {
		clock = "CAST(? AS SIGNED)"
	}
	numbers := ""
	for _, name := range t.numbers {
		numbers += ", CAST(? AS SIGNED) AS " + name + "_"
	}
	fresh := func(text string) string { return d.expression(t, strings.ReplaceAll(text, "{a}", "0")) }
	sure := "variant = ask.variant_ AND blocked = 0 AND reset_at = 0 AND cells IS NULL"
	passes := "(" + sure + " AND " + d.expression(t, t.passes) + ")"
	return "INSERT INTO stint_keys (" + columns + ", tag) SELECT ask.k_, ask.variant_, " + fresh(t.a) + ", 0, 0, 0, 0, " + fresh(t.a) +
		" DIV 2048 + 1, NULL, ask.tag_ FROM (SELECT ? AS k_, CAST(? AS SIGNED) AS variant_, CAST(? AS SIGNED) AS tag_, " + clock + " AS now_" + numbers +
		") AS ask WHERE ask.now_ BETWEEN 0 AND " + maxInstant + " ON DUPLICATE KEY UPDATE tag = IF(" + passes + ", ask.tag_, tag), a = IF(tag = ask.tag_, " + d.expression(t, t.a) +
		", a), keep_until = IF(tag = ask.tag_, a DIV 2048 + 1, keep_until) RETURNING " + clock + ", variant, a, b, c, blocked, reset_at, tag"
}

// expression is one of a transcription's in this dialect, about the row that is there and the numbers in ask.
func (mariadb) expression(t *transcription, text string) string {
	text = strings.NewReplacer("//", "DIV", "{now}", "ask.now_", "{a}", "stint_keys.a").Replace(text)
	for _, name := range t.numbers {
		text = strings.ReplaceAll(text, "{"+name+"}", "ask."+name+"_")
	}
	return "(" + text + ")"
}
