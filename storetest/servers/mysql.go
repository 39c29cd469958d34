package servers

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// MySQLVariable names a MySQL server that tests may use, as mysql://user:password@host:port with all rights. Debian has none, so without
// it MySQL is simply not among the databases; `make test-mysql` says how to have one.
const MySQLVariable = "STINT_TEST_MYSQL"

var mysqlBases atomic.Int64

// MySQL makes an empty database on the server that the environment names, and returns its URL; "" if it names none.
func MySQL(t testing.TB) string {
	t.Helper()
	address := os.Getenv(MySQLVariable)
	rest, ok := strings.CutPrefix(address, "mysql://")
	if address == "" {
		return ""
	}
	user, host, two := strings.Cut(rest, "@")
	if !ok || !two {
		t.Fatalf("%s=%s: write mysql://user:password@host:port", MySQLVariable, address)
	}
	host, _, _ = strings.Cut(host, "/")
	db, err := sql.Open("mysql", user+"@tcp("+host+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := fmt.Sprintf("stint_test_%d_%d", os.Getpid(), mysqlBases.Add(1))
	if _, err := db.ExecContext(context.Background(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("%s: %v", MySQLVariable, err)
	}
	t.Cleanup(func() {
		if db, err := sql.Open("mysql", user+"@tcp("+host+")/"); err == nil {
			_, _ = db.ExecContext(context.Background(), "DROP DATABASE "+name) // it goes with the server at the latest
			_ = db.Close()
		}
	})
	return "mysql://" + user + "@" + host + "/" + name
}
