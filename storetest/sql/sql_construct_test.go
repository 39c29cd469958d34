package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/sqlstore"
	"github.com/stint-go/stint/storetest/servers"
)

const secret = "s3cret-p4ss"

// refused is the error of a store that cannot be made, which shows no password and leaves no goroutine behind.
func refused(t *testing.T, address string, o sqlstore.Options, says string) error {
	t.Helper()
	before := goleak.IgnoreCurrent()
	s, err := sqlstore.Open(context.Background(), address, o)
	if err == nil {
		s.Close()
		t.Fatalf("%s: no error, want one that says %q", address, says)
	}
	if text := err.Error(); !strings.Contains(text, says) || strings.Contains(text, secret) {
		t.Errorf("%s: %v, want an error that says %q and shows no password", address, err, says)
	}
	goleak.VerifyNone(t, before)
	return err
}

func TestSQLTablesOfAnotherVersion(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		var schema *sqlstore.SchemaError
		err := refused(t, address, sqlstore.Options{NoSchema: true}, "there are no tables")
		if !errors.As(err, &schema) || schema.Found != 0 {
			t.Errorf("no tables: %v", err)
		}
		opened(t, address, sqlstore.Options{}).Close()
		opened(t, address, sqlstore.Options{NoSchema: true}).Close()

		db, _ := direct(t, address)
		change := func(statement string) {
			t.Helper()
			if _, err := db.ExecContext(context.Background(), statement); err != nil {
				t.Fatal(err)
			}
		}
		change("UPDATE stint_schema SET version = 7")
		err = refused(t, address, sqlstore.Options{}, "version 7 and this process knows 1: update this process")
		if !errors.As(err, &schema) || schema.Found != 7 || schema.Known != 1 {
			t.Errorf("version 7: %v", err)
		}
		change("DELETE FROM stint_schema")
		refused(t, address, sqlstore.Options{}, "says no version")
		change("INSERT INTO stint_schema VALUES (1)")
		opened(t, address, sqlstore.Options{}).Close()
		change("DROP TABLE stint_receipts")
		refused(t, address, sqlstore.Options{}, "a table is not there")
	})
}

// Processes that start at once on an empty database make the tables once.
func TestSQLTablesAreMadeOnce(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := sqlstore.Open(context.Background(), address, sqlstore.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				s.Close()
			})
		}
		wg.Wait()
	})
}

// Where tables are not made in a transaction, a process that dies in between leaves some of them to the next one.
func TestSQLTablesAreCompleted(t *testing.T) {
	address := servers.MariaDB(t).Database(t)
	db, _ := direct(t, address)
	statements := strings.SplitAfter(sqlstore.Schema(sqlstore.MySQL), ";\n")
	for _, statement := range statements[:2] {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	opened(t, address, sqlstore.Options{}).Close()
}

func TestSQLPostgresPrivileges(t *testing.T) {
	server := servers.Postgres(t)
	address := server.Database(t)
	name := address[strings.LastIndex(address, "/")+1 : strings.Index(address, "?")]
	user := "poor_" + name
	server.Exec(t, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", user, secret))
	as := func(user, password string) string {
		return strings.Replace(address, "postgres@", user+":"+password+"@", 1)
	}
	poor := as(user, secret)
	refused(t, poor, sqlstore.Options{}, "make the tables: the database user lacks a privilege")
	opened(t, address, sqlstore.Options{}).Close()
	refused(t, poor, sqlstore.Options{}, "lacks a privilege")
	db, _ := direct(t, address)
	grant := func(what string) {
		t.Helper()
		if _, err := db.ExecContext(context.Background(), "GRANT "+what+" TO "+user); err != nil {
			t.Fatal(err)
		}
	}
	grant("SELECT, INSERT, UPDATE ON stint_keys, stint_values, stint_receipts, stint_schema")
	refused(t, poor, sqlstore.Options{}, "remove keys: the database user lacks a privilege")
	grant("DELETE ON stint_keys, stint_receipts")
	opened(t, poor, sqlstore.Options{}).Close()

	refused(t, as(user, secret+"x"), sqlstore.Options{}, "refuses the login")
	refused(t, as("nobody", secret), sqlstore.Options{}, "refuses the login")
	refused(t, strings.Replace(poor, name+"?", "nowhere?", 1), sqlstore.Options{}, "name of the database")
}

func TestSQLMariaDBPrivileges(t *testing.T) {
	server := servers.MariaDB(t)
	address := server.Database(t)
	name := address[strings.LastIndex(address, "/")+1:]
	user := "poor_" + name
	server.Exec(t, fmt.Sprintf("CREATE USER %s@'127.0.0.1' IDENTIFIED BY '%s'", user, secret))
	as := func(user, password string) string {
		return strings.Replace(address, "root@", user+":"+password+"@", 1)
	}
	poor := as(user, secret)
	refused(t, poor, sqlstore.Options{}, "the database user lacks a privilege")
	server.Exec(t, fmt.Sprintf("GRANT SELECT, INSERT, UPDATE ON %s.* TO %s@'127.0.0.1'", name, user))
	refused(t, poor, sqlstore.Options{}, "make the tables: the database user lacks a privilege")
	opened(t, address, sqlstore.Options{}).Close()
	refused(t, poor, sqlstore.Options{}, "remove keys: the database user lacks a privilege")
	server.Exec(t, fmt.Sprintf("GRANT DELETE ON %s.* TO %s@'127.0.0.1'", name, user))
	opened(t, poor, sqlstore.Options{}).Close()

	refused(t, as(user, secret+"x"), sqlstore.Options{}, "refuses the login")
	refused(t, strings.Replace(address, name, "nowhere", 1), sqlstore.Options{}, "name of the database")
	refused(t, address, sqlstore.Options{Relaxed: true}, "innodb_flush_log_at_trx_commit")
}

func TestSQLAddresses(t *testing.T) {
	for address, says := range map[string]string{
		"":                    "begins with none of",
		"redis://x":           "begins with none of",
		"sqlite:":             "names no file",
		"sqlite:/no/such/dir": "its folder is there",
		"postgres://u:" + secret + "@127.0.0.1:1/x?sslmode=disable":  "connect",
		"mysql://u:" + secret + "@127.0.0.1:1/x":                     "connect",
		"mysql://u:" + secret + "%zz@127.0.0.1/x":                    "cannot be read",
		"postgres://u:" + secret + "@127.0.0.1:port/x?sslmode=never": "port",
		"postgres://u:" + secret + "@127.0.0.1/x?sslmode=never":      "sslmode",
	} {
		refused(t, address, sqlstore.Options{}, says)
	}
	if _, err := sqlstore.New(context.Background(), nil, "oracle", sqlstore.Options{}); err == nil || !strings.Contains(err.Error(), "must be") {
		t.Errorf("an unknown dialect: %v", err)
	}
	refused(t, "sqlite:x", sqlstore.Options{Timeout: -1}, "negative")
}

// A database that the caller has opened stays the caller's, with the settings that it had, even if it allows one connection only.
func TestSQLCallersDatabase(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, address string) {
		db, _ := direct(t, address)
		db.SetMaxOpenConns(1)
		d := sqlstore.SQLite
		switch scheme, _, _ := strings.Cut(address, ":"); scheme {
		case "postgres":
			d = sqlstore.Postgres
		case "mysql":
			d = sqlstore.MySQL
		}
		s, err := sqlstore.New(ctx, db, d, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l, err := stint.PerHour(100).Compile()
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					if a, _, err := s.One(ctx, l, "k", stint.TakeOp(1)); err != nil || a.Granted != 1 {
						t.Errorf("%+v, %v", a, err)
					}
				}
			})
		}
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM stint_keys").Scan(&n); err != nil || n != 1 {
			t.Errorf("after the store is closed: %d rows, %v", n, err)
		}
		if d == sqlstore.Postgres {
			var plans string
			if err := db.QueryRowContext(ctx, "SHOW enable_seqscan").Scan(&plans); err != nil || plans != "on" {
				t.Errorf("the caller's connection has the store's settings: enable_seqscan is %s, %v", plans, err)
			}
		}
	})
}
