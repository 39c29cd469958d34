package sql

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
	"github.com/stint-go/stint/sqlstore"
	"github.com/stint-go/stint/storetest/servers"
)

// lasting is a limit of n units that do not come back while a test lasts.
func lasting(t testing.TB, id string, n int64) *stint.Limit {
	t.Helper()
	l, err := stint.Limit{ID: id, Units: n, Per: 1000 * 24 * time.Hour, Strategy: stint.IntervalBucket{}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// left is how many units the key has left.
func left(t testing.TB, s stint.Store, l *stint.Limit, key string) int64 {
	t.Helper()
	a, _, err := s.One(context.Background(), l, key, stint.LookOp(1))
	if err != nil {
		t.Fatal(err)
	}
	return a.Remaining
}

// A transaction that the database undoes because of a deadlock is tried again, and counts once.
func TestSQLDeadlocks(t *testing.T) {
	ctx := context.Background()
	for _, e := range engines[:2] {
		t.Run(e.name, func(t *testing.T) {
			address := e.address(t)
			db, parameter := direct(t, address)
			s := opened(t, address, sqlstore.Options{})
			l := lasting(t, "deadlock", 100)
			claims := []stint.Claim{stint.NewClaim(l, "a", 1), stint.NewClaim(l, "b", 1)}
			taken := int64(0)
			all := func() error {
				err := s.All(ctx, claims, make([]stint.Outcome, 2))
				if err == nil {
					taken++
				}
				return err
			}
			if err := all(); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				lock := func(key string) error {
					_, err := tx.ExecContext(ctx, "UPDATE stint_keys SET blocked = blocked + 1 WHERE k = "+parameter, record.AppendKey(nil, l.ID, key))
					return err
				}
				if err := lock("b"); err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() { done <- all() }() // has a, waits for b
				time.Sleep(100 * time.Millisecond)
				_ = lock("a")     // closes the circle: one of the two is undone
				_ = tx.Rollback() // it may be undone already
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if s.Stats().Retried > 0 {
					break
				}
			}
			if s.Stats().Retried == 0 {
				t.Error("no deadlock undid the store's transaction")
			}
			if a, b := left(t, s, l, "a"), left(t, s, l, "b"); a != 100-taken || b != 100-taken {
				t.Errorf("%d taken of 100 leaves %d and %d", taken, a, b)
			}
		})
	}
}

// A database whose transactions are serializable unless they say otherwise makes the store's no less exact.
func TestSQLSerializable(t *testing.T) {
	server := servers.Postgres(t)
	address := server.Database(t)
	db, _ := direct(t, address)
	if _, err := db.ExecContext(context.Background(), "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$"); err != nil {
		t.Fatal(err)
	}
	s := opened(t, address, sqlstore.Options{})
	for _, l := range []*stint.Limit{lasting(t, "one", 50)} {
		var granted atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 15 {
					a, _, err := s.One(context.Background(), l, "k", stint.TakeOp(1))
					if err != nil {
						t.Error(err)
					}
					granted.Add(a.Granted)
				}
			})
		}
		wg.Wait()
		if granted.Load() != 50 {
			t.Errorf("%d granted of 50", granted.Load())
		}
	}
}

// A server that is killed while callers take, and started again: calls fail meanwhile and within their time, the store goes on by
// itself afterwards, and nothing that was granted is forgotten.
func TestSQLServerKilled(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *servers.Server{"postgres": servers.NewPostgres, "mariadb": servers.NewMariaDB} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			s := opened(t, server.Database(t), sqlstore.Options{Connections: 4})
			const units = 1_000_000
			l := lasting(t, "killed", units)
			var granted, unknown, failed atomic.Int64
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					for ctx.Err() == nil {
						key := fmt.Sprint("k", i%2)
						op := stint.TakeOp(1)
						if i > 1 {
							op = stint.WithinOp(1, 1) // by a transaction
						}
						a, _, err := s.One(context.Background(), l, key, op)
						switch {
						case errors.Is(err, sqlstore.ErrUnknown):
							unknown.Add(1)
						case err != nil:
							failed.Add(1)
							time.Sleep(time.Millisecond)
						default:
							granted.Add(a.Granted)
						}
					}
				})
			}
			until := func(what string, done func() bool) {
				t.Helper()
				for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("never: %s (%d granted, %d failed)", what, granted.Load(), failed.Load())
					}
				}
			}
			until("some are granted", func() bool { return granted.Load() > 50 })
			server.Kill()
			until("calls fail", func() bool { return failed.Load() > 10 })
			before := granted.Load()
			server.Start(t)
			until("calls are granted again", func() bool { return granted.Load() > before+50 })
			cancel()
			wg.Wait()
			used := 2*units - left(t, s, l, "k0") - left(t, s, l, "k1")
			if used < granted.Load() || used > granted.Load()+unknown.Load() {
				t.Errorf("%d granted and %d unknown, and %d are counted", granted.Load(), unknown.Load(), used)
			}
		})
	}
}

// A row that somebody else holds is waited for no longer than the caller has time, and nothing is charged.
func TestSQLWaitsHaveAnEnd(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		db, _ := direct(t, address)
		s := opened(t, address, sqlstore.Options{})
		l := lasting(t, "held", 10)
		if _, _, err := s.One(context.Background(), l, "k", stint.TakeOp(1)); err != nil {
			t.Fatal(err)
		}
		conn, err := db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		begin := "BEGIN"
		if address[:6] == "sqlite" {
			begin = "BEGIN IMMEDIATE"
		}
		for _, statement := range []string{begin, "UPDATE stint_keys SET blocked = 0"} {
			if _, err := conn.ExecContext(context.Background(), statement); err != nil {
				t.Fatal(err)
			}
		}
		for _, op := range []stint.Op{stint.TakeOp(1), stint.WithinOp(1, 1)} {
			ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
			if a, _, err := s.One(ctx, l, "k", op); err == nil {
				t.Errorf("a key that is held answers %+v", a)
			}
			cancel()
		}
		if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if n := left(t, s, l, "k"); n != 9 {
			t.Errorf("%d left of 10 less 1", n)
		}
	})
}
