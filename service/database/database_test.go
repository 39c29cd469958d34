package database

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-go/stint/storetest/servers"
)

func TestMain(m *testing.M) { servers.MainWithoutLeaks(m) }

func onEach(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	all := map[string]string{
		"SQLite":     "sqlite:" + filepath.Join(t.TempDir(), "a b?c#d.db"),
		"MariaDB":    servers.MariaDB(t).Database(t),
		"PostgreSQL": servers.Postgres(t).Database(t),
	}
	if address := servers.MySQL(t); address != "" {
		all["MySQL"] = address
	}
	for name, address := range all {
		t.Run(name, func(t *testing.T) { test(t, address) })
	}
}

// The tables are made once, however many processes start together, and again means nothing.
func TestMigrateAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				db, err := Open(context.Background(), address, Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := db.Exec(context.Background(), "SELECT COUNT(*) FROM {user}"); err != nil {
					t.Error(err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
	})
}

// One process makes the tables at a time, and one that waits does not wait for longer than it was told.
func TestMigrationsAreLocked(t *testing.T) {
	for name, address := range map[string]string{"MariaDB": servers.MariaDB(t).Database(t), "PostgreSQL": servers.Postgres(t).Database(t)} {
		t.Run(name, func(t *testing.T) {
			db, err := Connect(address, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			session, err := db.sql.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if err := db.dialect.lock.SessionLock(t.Context(), session); err != nil {
				t.Fatal(err)
			}
			if another, err := Open(t.Context(), address, Options{Timeout: 3 * time.Second}); err == nil || !strings.Contains(err.Error(), "lock of the migrations") {
				t.Errorf("while the lock is held: %v, %v", another, err)
			}
			if err := db.dialect.lock.SessionUnlock(t.Context(), session); err != nil {
				t.Fatal(err)
			}
			another, err := Open(t.Context(), address, Options{MaxConnections: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := another.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A table of another program is left alone.
func TestForeignTables(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		db, err := Connect(address, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(t.Context(), "CREATE TABLE {user} (id INTEGER)"); err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "a database of its own") {
			t.Error(err)
		}
		if _, err := db.Exec(t.Context(), "INSERT INTO {user} (id) VALUES (1)"); err != nil {
			t.Error(err)
		}
	})
}

func TestNewerVersionIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		db, err := Open(t.Context(), address, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.sql.ExecContext(t.Context(), db.dialect.statement("INSERT INTO stint_migration (version_id, is_applied) VALUES (?, ?)"), 999, true); err != nil {
			t.Fatal(err)
		}
		again, err := Open(t.Context(), address, Options{})
		var newer *VersionError
		if !errors.As(err, &newer) || newer.Found != 999 || !strings.Contains(err.Error(), "update this one") {
			t.Errorf("%v, %v", again, err)
		}
	})
}

func TestTransactions(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx := t.Context()
		db, err := Open(ctx, address, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		count := func() (n int) {
			if err := db.QueryRow(ctx, "SELECT COUNT(*) FROM plan WHERE name <> ?", "").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		failed := errors.New("failed")
		for _, end := range []error{failed, nil} {
			err := db.In(ctx, func(tx Doer) error {
				for _, name := range []string{"a", "b"} {
					if _, err := tx.Exec(ctx, "INSERT INTO plan (name, created_at) VALUES (?, ?)", name, 1); err != nil {
						return err
					}
				}
				return end
			})
			if want := map[bool]int{true: 0, false: 2}[end != nil]; !errors.Is(err, end) || count() != want {
				t.Errorf("ended with %v: %v, %d rows", end, err, count())
			}
		}
		if _, err := db.Exec(ctx, "INSERT INTO plan (name, created_at) VALUES (?, ?)", "a", 1); !errors.Is(err, ErrExists) {
			t.Errorf("a row that is there: %v", err)
		}
		sum := "INSERT INTO plan (name, created_at) VALUES (?, ?)" + db.Upsert("plan", "name", []string{"created_at"}, nil)
		if _, err := db.Exec(ctx, sum, "a", 41); err != nil {
			t.Fatal(err)
		}
		var total int
		if err := db.QueryRow(ctx, "SELECT created_at FROM plan WHERE name = ?", "a").Scan(&total); err != nil || total != 42 {
			t.Errorf("1 and 41 are %d, %v", total, err)
		}
	})
}

// What cannot be opened says so, and never with the password.
func TestAddresses(t *testing.T) {
	folder := t.TempDir()
	for address, want := range map[string]string{
		"postgres://u:hunter2@127.0.0.1:1/d":      "cannot be reached",
		"mysql://u:hunter2@127.0.0.1:1/d":         "cannot be reached",
		"mysql://u:hunter2@127.0.0.1:1":           "names no database",
		"mysql://u:hunter2@h:port/d":              "",
		"postgres://u:hunter2@h:port/d":           "",
		"redis://u:hunter2@h":                     "is no database",
		"memory":                                  "is no database",
		"sqlite:" + folder:                        "is a folder",
		"sqlite:/nowhere/at/all.db":               "there is no folder",
		"postgers://u:hunter2@h/d":                "did you mean postgres",
		"mysql://u:hunter2@h/d?tls=hunter2%20x":   "",
		"postgres://u:hunter2@h/d?sslmode=hunter": "",
	} {
		db, err := Open(t.Context(), address, Options{})
		if err == nil {
			_ = db.Close()
			t.Errorf("%s is opened", address)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q and no password", address, err, want)
		}
	}
}

func ExampleOpen() {
	db, err := Open(context.Background(), "mysql://stint@db.example.com", Options{})
	fmt.Println(db, err)
	// Output: <nil> database: the URL names no database; write mysql://user:password@host:3306/database
}
