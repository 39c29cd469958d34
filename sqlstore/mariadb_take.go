package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// mariadb is MySQL that can return what a statement has written.
type mariadb struct{ mysql }

func (mariadb) takes(t *transcription) bool { return t.b == "" }

// take makes the row or changes it. A change that keeps every value writes nothing. The columns are written one after the other, and
// later ones see what earlier ones became: the tag says whether the take passes, by the state before, which is replaced after it. More
// than one word cannot be written so, and is left to the transaction.
//
// The clock is that of the statement's begin: if it has to wait L for the row its instant is L old, and a token bucket admits at most
// r·L more for it.
func (d mariadb) take(ctx context.Context, s *session, t *take) error {
	name := "mariadb " + t.name
	named := []any{t.key, int64(t.limit.Variant()), nonce()}
	if t.clock != nil {
		name += " by a clock"
		named = append(named, t.clock())
	}
	for _, n := range t.values() {
		named = append(named, n)
	}
	query := s.written(name, func() statement { return d.takeStatement(t.transcription, t.clock != nil) })
	args := make([]any, len(query.order))
	for i, n := range query.order {
		args[i] = named[n]
	}
	p, err := s.prepared(ctx, query.text)
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
	t.there, t.wrote, t.after = true, by == named[2], true
	t.record = record.Record{Variant: uint64(variant), Blocked: blocked, Reset: reset, State: stint.State{A: a, B: b, C: c}}
	return nil
}

// takeStatement has each number as a parameter wherever it is used: to name them once, in a table that the statement derives, takes the
// server half as long again.
func (mariadb) takeStatement(t *transcription, given bool) statement {
	names, clock := []string{"k", "variant", "tag"}, myClock
	if given {
		names, clock = append(names, "at"), "CAST({at} AS SIGNED)"
	}
	names = append(names, t.numbers...)
	const sure = "variant = {variant} AND blocked = 0 AND reset_at = 0 AND cells IS NULL"
	fresh := "(" + strings.ReplaceAll(t.a, "{a}", "0") + ")"
	text := "INSERT INTO stint_keys (" + columns + ", tag)" +
		" SELECT {k}, {variant}, " + fresh + ", 0, 0, 0, 0, " + fresh + " // 2048 + 1, NULL, {tag} FROM DUAL WHERE {now} BETWEEN 0 AND " + maxInstant +
		" ON DUPLICATE KEY UPDATE tag = IF(" + sure + " AND (" + t.passes + "), {tag}, tag), a = IF(tag = {tag}, " + t.a + ", a)," +
		" keep_until = IF(tag = {tag}, a // 2048 + 1, keep_until)" +
		" RETURNING {now}, variant, a, b, c, blocked, reset_at, tag"
	return inPlaces(strings.NewReplacer("//", "DIV", "{now}", clock, "{a}", "stint_keys.a").Replace(text), names)
}

// inPlaces is a statement with a parameter in each place where one of the names stands in braces.
func inPlaces(text string, names []string) statement {
	var b strings.Builder
	var order []int
	for {
		before, after, more := strings.Cut(text, "{")
		b.WriteString(before)
		if !more {
			return statement{b.String(), order}
		}
		name, rest, _ := strings.Cut(after, "}")
		b.WriteByte('?')
		order = append(order, slices.Index(names, name))
		text = rest
	}
}
