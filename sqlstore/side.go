package sqlstore

import (
	"context"
	"database/sql"
	"errors"
)

// Beside the keys a store keeps the values that limits have had, and the receipts that were used.

// saveValues keeps a limit's values, unless they are there.
func (s *Store) saveValues(ctx context.Context, limitID string, variant uint64, values string) error {
	return s.alone(ctx, func(se *session) error {
		_, err := se.exec(ctx, s.dialect.insertNew("stint_values", "limit_id, variant, body"), []byte(limitID), int64(variant), values)
		return err
	})
}

// findValues finds a limit's values on a session of its own.
func (s *Store) findValues(ctx context.Context, limitID string, variant uint64) (values string, err error) {
	err = s.alone(ctx, func(se *session) error {
		values, err = s.loadValues(ctx, se, limitID, variant)
		return err
	})
	return values, err
}

// loadValues finds a limit's values; "" if there are none.
func (s *Store) loadValues(ctx context.Context, se *session, limitID string, variant uint64) (values string, err error) {
	query := s.dialect.parameters("SELECT body FROM stint_values WHERE limit_id = ? AND variant = ?")
	p, err := se.prepared(ctx, query)
	if err != nil {
		return "", err
	}
	if err = p.QueryRowContext(ctx, []byte(limitID), int64(variant)).Scan(&values); errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return values, err
}

// use marks a receipt as used, and says whether it was not.
func (s *Store) use(ctx context.Context, se *session, key []byte, nonce uint64, until int64) (first bool, err error) {
	made, err := se.exec(ctx, s.dialect.insertNew("stint_receipts", "k, nonce, keep_until"), key, int64(nonce), until)
	return made > 0, err
}

// alone does one statement that may be done twice, on a session of its own, and again where others were in the way.
func (s *Store) alone(ctx context.Context, do func(*session) error) error {
	for tries := 1; ; tries++ {
		se, err := s.sessions.get(ctx)
		if err != nil {
			return s.failed(err)
		}
		err = do(se)
		busy := err != nil && s.dialect.failure(err) == conflict
		se.broken = err != nil && !busy
		again := busy || se.used
		s.sessions.put(se)
		if err == nil || !again || tries == maxTries || !pause(ctx, tries) {
			if err != nil {
				err = s.failed(err)
			}
			return err
		}
		s.retried.Add(1)
	}
}
