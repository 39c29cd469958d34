package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/stint-go/stint"
)

// sweeper removes rows that have said nothing for a while, in small steps through the table in the order of its keys.
type sweeper struct {
	store *Store
	end   context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	cursor []byte // the key after which the next step begins
}

const (
	sweepRows  = 1000 // that one step looks at
	sweepSteps = 20   // at most in a row

	// sweepAfter is how long, in ticks, a row stays that says nothing any more: a key in use with a short window comes back.
	sweepAfter = int64(time.Minute / stint.Tick)
)

func startSweeper(s *Store) *sweeper {
	ctx, end := context.WithCancel(context.Background())
	w := &sweeper{store: s, end: end, done: make(chan struct{})}
	if s.options.SweepEvery < 0 {
		close(w.done)
		return w
	}
	go w.run(ctx)
	return w
}

// run sweeps at intervals: a step, and more after so many writes, so that the table cannot outgrow the sweeper.
func (w *sweeper) run(ctx context.Context) {
	defer close(w.done)
	ticker := time.NewTicker(w.store.options.SweepEvery)
	defer ticker.Stop()
	for seen := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		written := w.store.written.Load()
		steps := min(1+2*(written-seen)/sweepRows, sweepSteps)
		seen = written
		for range steps {
			_ = w.step(ctx) // a database that is away comes back, and the next step goes on
		}
	}
}

func (w *sweeper) stop() {
	w.end()
	<-w.done
}

// Sweep removes all rows that have said nothing for a minute, in small steps. The store does it by itself; call it where SweepEvery is
// negative, or before the table is measured.
func (s *Store) Sweep(ctx context.Context) error {
	s.sweeper.mu.Lock()
	s.sweeper.cursor = nil
	s.sweeper.mu.Unlock()
	for {
		if err := s.sweeper.step(ctx); err != nil {
			return err
		}
		s.sweeper.mu.Lock()
		end := s.sweeper.cursor == nil
		s.sweeper.mu.Unlock()
		if end {
			return nil
		}
	}
}

// step looks at the next rows, and at some of the used receipts.
func (w *sweeper) step(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.store
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return s.alone(ctx, func(se *session) error {
		now, err := s.dialect.clock(ctx, se)
		if err != nil {
			return err
		}
		now = s.instant(now) - sweepAfter
		from := w.cursor
		if from == nil {
			from = []byte{}
		}
		var to []byte
		page, err := se.prepared(ctx, s.dialect.parameters("SELECT k FROM stint_keys WHERE k > ? ORDER BY k LIMIT 1 OFFSET ?"))
		if err != nil {
			return err
		}
		removal, args := "DELETE FROM stint_keys WHERE keep_until <= ? AND k > ? AND k <= ?", []any{now, from, to}
		switch err := page.QueryRowContext(ctx, from, int64(sweepRows-1)).Scan(&to); {
		case errors.Is(err, sql.ErrNoRows):
			removal, args = "DELETE FROM stint_keys WHERE keep_until <= ? AND k > ?", args[:2]
		case err != nil:
			return err
		default:
			args[2] = to
		}
		removed, err := se.exec(ctx, s.dialect.parameters(removal), args...)
		if err != nil {
			return err
		}
		receipts, err := se.exec(ctx, s.dialect.parameters("DELETE FROM stint_receipts WHERE keep_until <= ?"), now)
		if err != nil {
			return err
		}
		s.removed.Add(removed + receipts)
		w.cursor = to
		return nil
	})
}
