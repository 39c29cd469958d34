package database_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/database"
	"github.com/stint-go/stint/service/usage"
	"github.com/stint-go/stint/storetest/servers"
)

// A process that runs on the tables of the version before goes on while a newer one migrates under it: it knows its keys all the while, and
// usage for which there is no table yet waits in memory and is written once there is.
func TestMigrationBesideARunningProcess(t *testing.T) {
	all := map[string]func() string{
		"SQLite":     func() string { return "sqlite:" + filepath.Join(t.TempDir(), "accounts.db") },
		"MariaDB":    func() string { return servers.MariaDB(t).Database(t) },
		"PostgreSQL": func() string { return servers.Postgres(t).Database(t) },
	}
	for name, address := range all {
		probe := connected(t, address())
		newest, err := probe.Newest()
		if err != nil {
			t.Fatal(err)
		}
		for version := int64(2); version <= newest; version++ {
			t.Run(fmt.Sprintf("%s from %d to %d", name, version-1, version), func(t *testing.T) { beside(t, address(), version) })
		}
	}
}

func connected(t *testing.T, address string) *database.DB {
	t.Helper()
	db, err := database.Connect(address, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func beside(t *testing.T, address string, version int64) {
	old, newer := connected(t, address), connected(t, address)
	if err := old.MigrateTo(t.Context(), version-1); err != nil {
		t.Fatal(err)
	}
	a := accounts.New(old)
	if _, err := a.CreateUser(t.Context(), "alice", ""); err != nil {
		t.Fatal(err)
	}
	_, key, err := a.CreateKey(t.Context(), "alice", accounts.KeyOptions{Scopes: policy.ScopeRoutes})
	if err != nil {
		t.Fatal(err)
	}
	counted, err := usage.New(old, usage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var looks, failed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			clock := time.Now() // every look is later than an answer is good for, and asks the database
			directory, err := accounts.NewDirectory(a, accounts.DirectoryOptions{Timeout: 20 * time.Second, Grace: time.Nanosecond, Now: func() time.Time { return clock }})
			if err != nil {
				t.Error(err)
				return
			}
			defer directory.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				clock = clock.Add(2 * accounts.Fresh)
				caller, err := directory.Look(context.Background(), key, "")
				if err != nil || caller.User != "alice" {
					t.Errorf("a look: %v, %v", caller, err)
					return
				}
				looks.Add(1)
				counted.Count(usage.Of{User: "alice", Key: caller.Key, Route: "r"}, true, 1)
				if counted.Flush(context.Background()) != nil {
					failed.Add(1) // it waits in memory
				}
			}
		})
	}
	some := func() {
		for end := looks.Load() + 20; looks.Load() < end && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	some()
	if err := newer.MigrateTo(t.Context(), version); err != nil {
		t.Error(err)
	}
	some()
	close(stop)
	load.Wait()
	if err := newer.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := counted.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var written int64
	if err := newer.QueryRow(t.Context(), "SELECT SUM(admitted) FROM api_key_usage WHERE step = 86400").Scan(&written); err != nil {
		t.Fatal(err)
	}
	if written != looks.Load() || counted.Stats().Lost != 0 {
		t.Errorf("%d calls are written, want %d (%d writings failed before)", written, looks.Load(), failed.Load())
	}
	t.Logf("%d looks, %d writings that failed", looks.Load(), failed.Load())
}
