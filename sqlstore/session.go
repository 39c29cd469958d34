package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"

	"github.com/stint-go/stint"
)

// session is one connection that the store holds for itself, with its settings and prepared statements.
type session struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	long       map[string]statement // those that are long to write, by name
	used       bool                 // before: the server may have gone since
	broken     bool                 // not to be used again
}

// statement is the text of one, and which argument each of its parameters is where one is used several times.
type statement struct {
	text  string
	order []int
}

// prepared is the statement, prepared once.
func (s *session) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if p := s.statements[query]; p != nil {
		return p, nil
	}
	p, err := s.conn.PrepareContext(ctx, query)
	if err == nil {
		s.statements[query] = p
	}
	return p, err
}

// written is a statement, written once.
func (s *session) written(name string, write func() statement) statement {
	q, ok := s.long[name]
	if !ok {
		q = write()
		s.long[name] = q
	}
	return q
}

func (s *session) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	p, err := s.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return p.QueryContext(ctx, args...)
}

// exec is a statement without rows; it says how many rows it has changed.
func (s *session) exec(ctx context.Context, query string, args ...any) (int64, error) {
	p, err := s.prepared(ctx, query)
	if err != nil {
		return 0, err
	}
	result, err := p.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// number is a query of one number.
func (s *session) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	p, err := s.prepared(ctx, query)
	if err != nil {
		return 0, err
	}
	return n, p.QueryRowContext(ctx, args...).Scan(&n)
}

// control is a statement that begins or ends a transaction.
func (s *session) control(ctx context.Context, statement string) error {
	_, err := s.conn.ExecContext(ctx, statement)
	return err
}

// discard closes the connection for good: nobody else gets one with this store's settings, or in the middle of something.
func (s *session) discard() {
	for _, p := range s.statements {
		p.Close()
	}
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // which is what Raw returns then
	s.conn.Close()
}

// sessions are the store's connections. A call holds one while it works.
type sessions struct {
	db       *sql.DB
	settings []string
	slots    chan struct{} // a token for each session in use
	done     chan struct{} // closed at the end

	mu     sync.Mutex
	idle   []*session
	closed bool
}

func newSessions(db *sql.DB, settings []string, most int) *sessions {
	if allowed := db.Stats().MaxOpenConnections; allowed > 0 {
		most = min(most, allowed)
	}
	return &sessions{db: db, settings: settings, slots: make(chan struct{}, most), done: make(chan struct{})}
}

// get takes a session, a new one if all are in use and there may be more.
func (p *sessions) get(ctx context.Context) (*session, error) {
	select {
	case <-p.done:
		return nil, stint.ErrClosed
	default:
	}
	select {
	case p.slots <- struct{}{}:
	case <-p.done:
		return nil, stint.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		s.used = true
		return s, nil
	}
	p.mu.Unlock()
	s, err := p.open(ctx)
	if err != nil {
		<-p.slots
	}
	return s, err
}

func (p *sessions) open(ctx context.Context) (*session, error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, statements: make(map[string]*sql.Stmt), long: make(map[string]statement)}
	for _, statement := range p.settings {
		if err := s.control(ctx, statement); err != nil {
			s.discard()
			return nil, err
		}
	}
	return s, nil
}

// put gives a session back.
func (p *sessions) put(s *session) {
	p.mu.Lock()
	keep := !s.broken && !p.closed
	if keep {
		p.idle = append(p.idle, s)
	}
	p.mu.Unlock()
	if !keep {
		s.discard()
	}
	<-p.slots
}

// close discards the sessions, those in use when they come back, and waits for these.
func (p *sessions) close() {
	p.mu.Lock()
	p.closed = true
	close(p.done)
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, s := range idle {
		s.discard()
	}
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
}
