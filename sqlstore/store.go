package sqlstore

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// Store keeps the counts in an SQL database, so that any number of machines share them. It implements [stint.Store]: exact,
// durable, and atomic also for calls with several claims.
//
// A call costs a transaction: on a hot key about one commit to disk after the other, a few hundred a second. What makes it fast is
// to decide many calls at once ([Store.Many]), as the store of package batch does by itself for calls that come at the same time.
//
// It is safe for concurrent use.
type Store struct {
	db       *sql.DB
	owned    bool
	secret   string // the password, never to be shown
	options  Options
	dialect  dialect
	sessions *sessions
	registry record.Registry
	sweeper  *sweeper
	closed   atomic.Bool

	retried, written, removed atomic.Int64
}

// New makes a store on a database that the caller has opened with a driver for that dialect, and makes its tables if there are
// none. The database stays the caller's to close, after the store.
func New(ctx context.Context, db *sql.DB, d Dialect, o Options) (*Store, error) {
	return newStore(ctx, &Store{db: db}, d, o)
}

func newStore(ctx context.Context, s *Store, d Dialect, o Options) (*Store, error) {
	speaks, err := d.dialect()
	if err != nil {
		return nil, err
	}
	if err := o.validate(d); err != nil {
		return nil, err
	}
	s.options, s.dialect = o, speaks
	s.sessions = newSessions(s.db, speaks.settings(&o), o.Connections)
	s.registry.Save, s.registry.Load = s.saveValues, s.findValues
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	err = s.prepare(ctx, d)
	// Where a database has one writer, as SQLite, others that write or open it at the same moment are in the way for a moment.
	for tries := 1; err != nil && s.dialect.failure(err) == conflict && pause(ctx, tries); tries++ {
		err = s.prepare(ctx, d)
	}
	if err != nil {
		s.sessions.close()
		return nil, withoutSecret(err, s.secret)
	}
	s.sweeper = startSweeper(s)
	return s, nil
}

// begin is what every call begins with.
func (s *Store) begin(ctx context.Context, limits ...*stint.Limit) (context.Context, context.CancelFunc, error) {
	if s.closed.Load() {
		return nil, nil, stint.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	for _, l := range limits {
		if err := s.registry.Register(ctx, l); err != nil {
			cancel()
			return nil, nil, err
		}
	}
	return ctx, cancel, nil
}

// One implements [stint.Store].
func (s *Store) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	ctx, cancel, err := s.begin(ctx, l)
	if err != nil {
		return stint.Answer{}, 0, err
	}
	defer cancel()
	claims := [1]stint.Claim{{Limit: l, Key: key, Op: op}}
	var into [1]stint.Outcome
	if err := s.decide(ctx, claims[:], into[:]); err != nil {
		return stint.Answer{}, 0, err
	}
	return into[0].Answer, into[0].Mark, into[0].Err
}

// Many implements [stint.Store]. So many claims go into one transaction as a statement can hold; claims on one key follow each
// other there. Takes that are all of one key and all fit are one statement, as a single one is.
func (s *Store) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	ctx, cancel, err := s.begin(ctx, limitsOf(claims)...)
	if err != nil {
		return err
	}
	defer cancel()
	for len(claims) > 0 {
		n := min(len(claims), maxRows)
		if err := s.decide(ctx, claims[:n], into[:n]); err != nil {
			fail(into[:n], err)
		}
		claims, into = claims[n:], into[n:]
	}
	return nil
}

// maxRows is how many rows a statement may have: enough for one commit to be shared by many, within every database's bound of
// parameters.
const maxRows = 512

// decide does claims in the cheapest way that there is for them.
func (s *Store) decide(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	if done, err := s.quick(ctx, claims, into); done || err != nil {
		return err
	}
	return s.steps(ctx, claims, into)
}

// steps does claims one by one in one transaction, or without one if they only look.
func (s *Store) steps(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	rows, at := rowsOf(claims)
	looks := true
	for i := range claims {
		looks = looks && claims[i].Op.Max == 0
	}
	work := func(ctx context.Context, se *session, now int64) error {
		earlier := s.earlier(ctx, se)
		for i := range claims {
			c, r, o := &claims[i], at[i], &into[i]
			if r.err != nil {
				*o = stint.Outcome{Err: r.err}
				continue
			}
			r.limit = c.Limit
			var changed bool
			*o, changed = r.record.Step(c.Limit, now, c.Op, earlier)
			r.changed = r.changed || changed
		}
		return nil
	}
	if looks {
		return s.look(ctx, rows, work)
	}
	return s.transact(ctx, rows, work)
}

// All implements [stint.Store]: one transaction that locks the rows of all claims in one order, whatever theirs.
func (s *Store) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	if len(claims) == 0 {
		return nil
	}
	ends := [1]int{len(claims)}
	if err := s.AllInTurn(ctx, claims, ends[:], into); err != nil {
		return err
	}
	return into[0].Err
}

// AllInTurn implements [stint.CallStore]. So many calls go into one transaction as a statement can hold.
func (s *Store) AllInTurn(ctx context.Context, claims []stint.Claim, ends []int, into []stint.Outcome) error {
	ctx, cancel, err := s.begin(ctx, limitsOf(claims)...)
	if err != nil {
		return err
	}
	defer cancel()
	for first := 0; len(ends) > 0; {
		n := 1
		for n < len(ends) && ends[n]-first <= maxRows {
			n++
		}
		last := ends[n-1]
		if err := s.inTurn(ctx, claims[:last], first, ends[:n], into[:last]); err != nil {
			fail(into[first:last], err)
		}
		first, ends = last, ends[n:]
	}
	return nil
}

// inTurn decides calls, whose claims lie from first on, in one transaction.
func (s *Store) inTurn(ctx context.Context, claims []stint.Claim, first int, ends []int, into []stint.Outcome) error {
	rows, at := rowsOf(claims[first:])
	return s.transact(ctx, rows, func(ctx context.Context, se *session, now int64) error {
		earlier := s.earlier(ctx, se)
		begin := first
		for _, end := range ends {
			s.all(claims[begin:end], at[begin-first:end-first], now, earlier, into[begin:end])
			begin = end
		}
		return nil
	})
}

// all decides one call on rows that are locked.
func (s *Store) all(claims []stint.Claim, rows []*row, now int64, earlier record.Earlier, into []stint.Outcome) {
	records := make([]*record.Record, len(claims))
	for i, r := range rows {
		if r.err != nil {
			fail(into, r.err)
			return
		}
		records[i] = &r.record
	}
	granted, err := record.StepAll(claims, records, now, earlier, into)
	if err != nil {
		fail(into, err)
		return
	}
	for i, r := range rows {
		if granted && claims[i].Op.Max != 0 {
			r.limit, r.changed = claims[i].Limit, true
		}
	}
}

func fail(into []stint.Outcome, err error) {
	for i := range into {
		into[i] = stint.Outcome{Err: err}
	}
}

func limitsOf(claims []stint.Claim) []*stint.Limit {
	limits := make([]*stint.Limit, 0, len(claims))
	for i := range claims {
		if l := claims[i].Limit; i == 0 || l != claims[i-1].Limit {
			limits = append(limits, l)
		}
	}
	return limits
}

// Refund implements [stint.Store]. That the receipt was used is written in the same transaction.
func (s *Store) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	ctx, cancel, err := s.begin(ctx, l)
	if err != nil {
		return stint.Answer{}, 0, err
	}
	defer cancel()
	rows, _ := rowsOf([]stint.Claim{{Limit: l, Key: key, Op: op}})
	r := rows[0]
	var o stint.Outcome
	err = s.transact(ctx, rows, func(ctx context.Context, se *session, now int64) error {
		if r.err != nil {
			return errStep{r.err}
		}
		if nonce != 0 && r.record.Worth(l, op.Wait, now) {
			first, err := s.use(ctx, se, r.key, nonce, record.Void(l, op.Wait))
			if err != nil {
				return err
			}
			if !first {
				return errStep{stint.ErrReceiptUsed}
			}
			r.changed = true // so that the use is written even if nothing came back
		}
		var changed bool
		o, changed = r.record.Step(l, now, op, s.earlier(ctx, se))
		r.changed = r.changed || changed
		if o.Err != nil {
			return errStep{o.Err}
		}
		return nil
	})
	return o.Answer, o.Mark, err
}

// Block implements [stint.Store].
func (s *Store) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	ctx, cancel, err := s.begin(ctx, l)
	if err != nil {
		return err
	}
	defer cancel()
	rows, _ := rowsOf([]stint.Claim{{Limit: l, Key: key}})
	r := rows[0]
	return s.transact(ctx, rows, func(_ context.Context, _ *session, now int64) error {
		if r.err != nil {
			return errStep{r.err}
		}
		r.changed = r.record.Block(now, now+min(record.Ticks(d), longestBlock))
		return nil
	})
}

// longestBlock is how long a key can be blocked, in ticks: 35 years.
const longestBlock = int64(1) << 50

// Close ends the store's work, gives up its connections, and closes the database if Open has opened it.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.sweeper.stop()
	s.sessions.close()
	if s.owned {
		return s.db.Close()
	}
	return nil
}

// Stats are what a store has done since it was made.
type Stats struct {
	Written int64 // rows
	Retried int64 // transactions that others had undone, and looks
	Removed int64 // rows that said nothing any more
}

// Stats is what the store has done.
func (s *Store) Stats() Stats { return Stats{s.written.Load(), s.retried.Load(), s.removed.Load()} }
