package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// maxTries bounds how often a transaction is tried that others have undone.
const maxTries = 20

// step does a call's part of a transaction on rows that are locked, at the instant now, and marks those that it has changed. It
// may run several times, each time on rows that were read anew.
type step func(ctx context.Context, s *session, now int64) error

// transact runs a step on rows that it locks, and writes what has changed. What surely did not happen is tried again.
func (s *Store) transact(ctx context.Context, rows []*row, do step) error {
	for tries := 1; ; tries++ {
		again, err := s.attempt(ctx, rows, do)
		if err == nil || !again || ctx.Err() != nil {
			return err
		}
		if tries == maxTries {
			return fmt.Errorf("%w (%w)", stint.ErrContention, err)
		}
		s.retried.Add(1)
		forget(rows)
		if !pause(ctx, tries) {
			return err
		}
	}
}

// pause lets those go first who were in the way, for a random time that grows with the tries.
func pause(ctx context.Context, tries int) bool {
	timer := time.NewTimer(rand.N(time.Millisecond << min(tries, 5)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errStep is an error of a step's own: the database is sound.
type errStep struct{ error }

// attempt is one transaction. It says whether it may be tried again.
func (s *Store) attempt(ctx context.Context, rows []*row, do step) (again bool, err error) {
	se, err := s.sessions.get(ctx)
	if err != nil {
		return false, s.failed(err)
	}
	defer s.sessions.put(se)
	if err := se.control(ctx, s.dialect.begin()); err != nil {
		busy := s.dialect.failure(err) == conflict
		se.broken = !busy
		return busy || se.used, s.failed(err)
	}
	committing, err := s.run(ctx, se, rows, do)
	if err == nil {
		return false, nil
	}
	var own errStep
	if errors.As(err, &own) {
		se.broken = se.control(ctx, "ROLLBACK") != nil
		return false, own.error
	}
	if errors.Is(err, errMade) || s.dialect.failure(err) == conflict {
		se.broken = se.control(ctx, "ROLLBACK") != nil
		return true, s.failed(err)
	}
	se.broken = true
	if committing {
		return false, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	// A connection that was used before may have been dead for long.
	return se.used, s.failed(err)
}

// errMade says that somebody else has made a row meanwhile.
var errMade = errorf("somebody else has made the key at the same moment")

// run is the statements of a transaction that has begun. It says whether the last one, which makes it last, was sent.
func (s *Store) run(ctx context.Context, se *session, rows []*row, do step) (committing bool, err error) {
	now, err := s.dialect.lock(ctx, se, rows)
	if err != nil {
		return false, err
	}
	if err := do(ctx, se, s.instant(now)); err != nil {
		return false, err
	}
	var there, missing []*row
	for _, r := range rows {
		switch {
		case r.changed && r.there:
			there = append(there, r)
		case r.changed:
			missing = append(missing, r)
		}
	}
	if len(there) > 0 {
		if err := s.dialect.write(ctx, se, there); err != nil {
			return false, err
		}
	}
	if len(missing) > 0 {
		made, err := s.dialect.insert(ctx, se, missing)
		if err != nil {
			return false, err
		}
		if made < int64(len(missing)) {
			return false, errMade
		}
	}
	if len(there)+len(missing) == 0 {
		return false, se.control(ctx, "ROLLBACK") // nothing to wait for the disk for
	}
	s.written.Add(int64(len(there) + len(missing)))
	return true, se.control(ctx, "COMMIT")
}

// instant is the database's, or that of the clock in its place.
func (s *Store) instant(now int64) int64 {
	if s.options.Clock != nil {
		return s.options.Clock()
	}
	return now
}

// look reads rows without locking them, and says the instant.
func (s *Store) look(ctx context.Context, rows []*row, do step) error {
	for tries := 1; ; tries++ {
		again, err := s.lookOnce(ctx, rows, do)
		if err == nil || !again || tries == maxTries || ctx.Err() != nil {
			return err
		}
		s.retried.Add(1)
		forget(rows)
		if !pause(ctx, tries) {
			return err
		}
	}
}

func (s *Store) lookOnce(ctx context.Context, rows []*row, do step) (again bool, err error) {
	se, err := s.sessions.get(ctx)
	if err != nil {
		return false, s.failed(err)
	}
	defer s.sessions.put(se)
	now, err := s.dialect.look(ctx, se, rows)
	if err == nil {
		err = do(ctx, se, s.instant(now))
	}
	var own errStep
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &own):
		return false, own.error
	}
	busy := s.dialect.failure(err) == conflict
	se.broken = !busy
	return busy || se.used, s.failed(err)
}

// earlier finds values of a limit that this process has not seen, on the session of a transaction.
func (s *Store) earlier(ctx context.Context, se *session) record.Earlier {
	return func(l *stint.Limit, variant uint64) (*stint.Limit, error) {
		if known := s.registry.Known(l.ID, variant); known != nil {
			return known, nil
		}
		values, err := s.loadValues(ctx, se, l.ID, variant)
		if err != nil {
			return nil, err
		}
		return s.registry.Learn(l, variant, values)
	}
}

// failed is an error of the database, said to be one.
func (s *Store) failed(err error) error {
	if errors.Is(err, stint.ErrClosed) {
		return err
	}
	return withoutSecret(errorf("%w", err), s.secret)
}
