package sql

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/record"
)

// shelf is the least store that keeps records: a map of bytes under a mutex. It holds package record to all laws.
type shelf struct {
	mu       sync.Mutex
	now      func() int64
	records  map[string][]byte
	used     map[uint64]int64
	values   map[uint64]string
	registry record.Registry
	closed   bool
}

func openShelf(_ testing.TB, clock *limittest.Clock) stint.Store {
	s := &shelf{records: map[string][]byte{}, used: map[uint64]int64{}, values: map[uint64]string{}}
	s.now = func() int64 { return time.Now().UnixMicro() }
	if clock != nil {
		s.now = clock.Now
	}
	s.registry.Save = func(_ context.Context, _ string, variant uint64, values string) error {
		s.values[variant] = values
		return nil
	}
	s.registry.Load = func(_ context.Context, _ string, variant uint64) (string, error) { return s.values[variant], nil }
	return s
}

func (s *shelf) read(l *stint.Limit, key string, now int64) (string, record.Record, error) {
	name := string(record.AppendKey(nil, l.ID, key))
	if s.closed {
		return name, record.Record{}, stint.ErrClosed
	}
	if err := s.registry.Register(context.Background(), l); err != nil {
		return name, record.Record{}, err
	}
	r, err := record.Parse(bytes.Clone(s.records[name]))
	if err == nil && r.Until(l) <= now {
		r = record.Record{} // forgotten
	}
	return name, r, err
}

func (s *shelf) step(l *stint.Limit, key string, op stint.Op) (o stint.Outcome) {
	now := s.now()
	name, r, err := s.read(l, key, now)
	if err != nil {
		return stint.Outcome{Err: err}
	}
	o, changed := r.Step(l, now, op, s.registry.Earlier(context.Background()))
	if changed {
		s.records[name] = r.Append(nil)
	}
	return o
}

func (s *shelf) One(_ context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.step(l, key, op)
	return o.Answer, o.Mark, o.Err
}

func (s *shelf) All(_ context.Context, claims []stint.Claim, into []stint.Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, names, records := s.now(), make([]string, len(claims)), make([]*record.Record, len(claims))
	for i, c := range claims {
		name, r, err := s.read(c.Limit, c.Key, now)
		if err != nil {
			return err
		}
		names[i], records[i] = name, &r
	}
	granted, err := record.StepAll(claims, records, now, s.registry.Earlier(context.Background()), into)
	for i := range claims {
		if granted && claims[i].Op.Max != 0 {
			s.records[names[i]] = records[i].Append(nil)
		}
	}
	return err
}

func (s *shelf) Many(_ context.Context, claims []stint.Claim, into []stint.Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range claims {
		into[i] = s.step(c.Limit, c.Key, c.Op)
	}
	return nil
}

func (s *shelf) Refund(_ context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	_, r, err := s.read(l, key, now)
	if err != nil {
		return stint.Answer{}, 0, err
	}
	if s.used[nonce] > now {
		return stint.Answer{}, 0, stint.ErrReceiptUsed
	}
	if nonce != 0 && r.Worth(l, op.Wait, now) {
		s.used[nonce] = record.Void(l, op.Wait)
	}
	o := s.step(l, key, op)
	return o.Answer, o.Mark, o.Err
}

func (s *shelf) Block(_ context.Context, l *stint.Limit, key string, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	name, r, err := s.read(l, key, now)
	if err == nil && r.Block(now, now+int64(d/stint.Tick)) {
		s.records[name] = r.Append(nil)
	}
	return err
}

func (s *shelf) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func TestRecords(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{Checks: 20, Rounds: 5}, openShelf)
}

func TestRecordsOnTheirOwnClock(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{RealClock: true, Checks: 5, Rounds: 2}, openShelf)
}
