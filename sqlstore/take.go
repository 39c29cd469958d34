package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// taker is a dialect in which a take under a transcribed strategy is one statement, which commits by itself. It finds the row, and
// writes it if all units are granted and nothing about the record needs more than the transcription knows. What comes back is the
// record as it was, or, after, as it is once the take has been written.
type taker interface {
	takes(t *transcription) bool
	take(ctx context.Context, s *session, t *take) error
}

// take is one such statement, for one take or several of one key, and what comes back.
type take struct {
	*transcription
	limit *stint.Limit
	key   []byte
	units int64
	clock func() int64 // in place of the database's; nil if it has its own

	now    int64
	record record.Record
	there  bool
	wrote  bool
	after  bool // the record is the one after the take
}

// values are those of the transcription's numbers.
func (t *take) values() []int64 {
	at := time.Now().UnixMicro()
	if t.clock != nil {
		at = t.clock()
	}
	return t.transcription.values(t.limit, t.units, at)
}

// quick does takes of one key by one statement for all their units at once, where there is one. It is not done if the transaction has
// to decide, as where some of the takes fit and others do not.
func (s *Store) quick(ctx context.Context, claims []stint.Claim, into []stint.Outcome) (done bool, err error) {
	by, ok := s.dialect.(taker)
	if !ok {
		return false, nil
	}
	l, key := claims[0].Limit, claims[0].Key
	written := transcribed(l)
	if written == nil || !by.takes(written) || len(claims) > 1 && !written.adds {
		return false, nil
	}
	var units int64
	for i := range claims {
		c := &claims[i]
		if c.Limit != l || c.Key != key || c.Op.Kind() != stint.Grant || c.Op.Wait != 0 || c.Op.Max > l.Capacity()-units {
			return false, nil
		}
		units += c.Op.Max
	}
	t := &take{transcription: written, limit: l, key: record.AppendKey(nil, l.ID, key), units: units, clock: s.options.Clock}
	for tries := 1; ; tries++ {
		again, err := s.quickOnce(ctx, by, t)
		if err == nil {
			break
		}
		if !again || tries == maxTries || ctx.Err() != nil {
			return true, err
		}
		s.retried.Add(1)
		if !pause(ctx, tries) {
			return true, err
		}
		t.record, t.there = record.Record{}, false
	}
	if t.wrote {
		s.written.Add(1)
	}
	if t.wrote && t.after {
		t.answerBackwards(claims, into)
		return true, nil
	}
	if t.record.Variant != l.Variant() && !t.record.State.Forgettable(t.now) {
		return false, nil
	}
	changed := false
	for i := range claims {
		var granted bool
		into[i], granted = t.record.Step(l, t.now, claims[i].Op, nil)
		changed = changed || granted
	}
	return changed == t.wrote, nil
}

// answerBackwards answers takes that were all granted, from the record after the last of them: what a take found is what it left with
// its units put back.
func (t *take) answerBackwards(claims []stint.Claim, into []stint.Outcome) {
	for i := len(claims) - 1; i >= 0; i-- {
		r, units := t.record, claims[i].Op.Max
		into[i], _ = r.Step(t.limit, t.now, stint.LookOp(1), nil)
		into[i].Granted, into[i].Wait = units, 0
		t.record.State, _ = t.limit.Strategy.Apply(t.record.State, t.limit, t.now, stint.CreditOp(units))
	}
}

func (s *Store) quickOnce(ctx context.Context, by taker, t *take) (again bool, err error) {
	se, err := s.sessions.get(ctx)
	if err != nil {
		return false, s.failed(err)
	}
	defer s.sessions.put(se)
	err = by.take(ctx, se, t)
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, stint.ErrClock):
		return false, err
	case s.dialect.failure(err) == conflict:
		return true, s.failed(err)
	}
	se.broken = true
	switch {
	case errors.Is(err, driver.ErrBadConn): // not sent
		return se.used, s.failed(err)
	case s.dialect.answered(err):
		return false, s.failed(err)
	}
	return false, withoutSecret(fmt.Errorf("%w: %w", ErrUnknown, err), s.secret)
}

// maxInstant is the last instant that a store's clock may show.
var maxInstant = strconv.FormatInt(stint.MaxInstant, 10)

// nonce is a number by which a statement knows its own row again.
func nonce() int64 { return rand.Int64() }
