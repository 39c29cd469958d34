package sql

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3" // the driver of sqlite: URLs

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/sqlstore"
	"github.com/stint-go/stint/storetest/servers"
)

// engine is a database that the kit runs on. Its address is the same at each call within a test, so that stores share it.
type engine struct {
	name    string
	address func(t testing.TB) string
}

var engines = []engine{
	{"postgres", func(t testing.TB) string { t.Helper(); return servers.Postgres(t).Database(t) }},
	{"mariadb", func(t testing.TB) string { t.Helper(); return servers.MariaDB(t).Database(t) }},
	{"sqlite", func(t testing.TB) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "limits.db") }},
}

// each runs a test on every engine, and on MySQL where the environment names one.
func each(t *testing.T, test func(t *testing.T, address string)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, e.address(t)) })
	}
	if address := servers.MySQL(t); address != "" {
		t.Run("mysql", func(t *testing.T) { test(t, address) })
	}
}

// opened is a store on a database.
func opened(t testing.TB, address string, o sqlstore.Options) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// opener is for the kit.
func opener(address string) limittest.Open {
	return func(t testing.TB, clock *limittest.Clock) stint.Store {
		var o sqlstore.Options
		if clock != nil {
			o.Clock = clock.Now
		}
		o.Relaxed = address[:5] == "sqlit"
		s, err := sqlstore.Open(context.Background(), address, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// A call takes a transaction here, so the kit tries less than it does in memory.
func TestSQL(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		limittest.StoreWith(t, limittest.StoreOptions{Checks: 2, Rounds: 2}, opener(address))
	})
}

// What the clock changes is the same for all strategies: here are one that is a statement, one by the wall clock, one by transactions.
func TestSQLOnItsOwnClock(t *testing.T) {
	o := limittest.StoreOptions{
		RealClock: true, Checks: 1, Rounds: 1, Strategies: []stint.Strategy{stint.TokenBucket{}, stint.FixedWindow{}, stint.SlidingLog{}},
	}
	each(t, func(t *testing.T, address string) { limittest.StoreWith(t, o, opener(address)) })
}

// direct is the database itself, as its driver opens it, and how a first parameter is written there.
func direct(t testing.TB, address string) (db *sql.DB, parameter string) {
	t.Helper()
	driver, source, parameter := "pgx", address, "$1"
	if rest, ok := strings.CutPrefix(address, "mysql://"); ok {
		user, rest, _ := strings.Cut(rest, "@")
		host, name, _ := strings.Cut(rest, "/")
		driver, source, parameter = "mysql", user+"@tcp("+host+")/"+name, "?"
	} else if file, ok := strings.CutPrefix(address, "sqlite:"); ok {
		driver, source, parameter = "sqlite3", file, "?"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, parameter
}
