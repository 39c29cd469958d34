package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of MariaDB
	_ "github.com/jackc/pgx/v5/stdlib" // the driver of PostgreSQL

	"github.com/stint-go/stint/batch"
	"github.com/stint-go/stint/sqlstore"
	"github.com/stint-go/stint/storetest/servers"
)

// SQLRows are the situations compared on a database.
func SQLRows(keys int) []SharedRow {
	return []SharedRow{
		{"one hot key, 1 caller", 1, 1, false},
		{"one hot key, 16 callers", 16, 1, false},
		{count(keys) + " keys, 16 callers", 16, keys, false},
	}
}

// SQLKind is a database to compare on.
type SQLKind struct {
	Name        string
	Contestants []SharedContestant
	start       func(testing.TB) *servers.Server
}

// SQLKinds are the databases, each with one upsert for each decision, which decides nothing but counts, and ours.
func SQLKinds() []SQLKind {
	ours := []SharedContestant{
		{"Stint", stintOnSQL(alone)},
		{"Stint, batch", stintOnSQL(inBatches(batch.Options{}))},
		{"Stint, leases of up to 100", stintOnSQL(leased(100))},
	}
	postgres := upsert("pgx", "CREATE TABLE peer (k TEXT PRIMARY KEY, n BIGINT NOT NULL)",
		"INSERT INTO peer (k, n) VALUES ($1, 1) ON CONFLICT (k) DO UPDATE SET n = peer.n + 1")
	mariadb := upsert("mysql", "CREATE TABLE peer (k VARCHAR(64) PRIMARY KEY, n BIGINT NOT NULL)",
		"INSERT INTO peer (k, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = n + 1")
	return []SQLKind{
		{"PostgreSQL", append([]SharedContestant{{"one upsert", postgres}}, ours...), servers.NewPostgres},
		{"MariaDB", append([]SharedContestant{{"one upsert", mariadb}}, ours...), servers.NewMariaDB},
	}
}

// SQLServer is a durable database for one run.
type SQLServer struct {
	server *servers.Server
	url    string
	life   *life
}

// Start starts the database.
func (k *SQLKind) Start() (s *SQLServer, err error) {
	l := &life{}
	defer func() {
		if failed := recover(); failed != nil {
			err = fmt.Errorf("%s: %v", k.Name, failed)
		}
	}()
	server := k.start(l)
	return &SQLServer{server, server.Database(l), l}, nil
}

// Where is the database's URL.
func (s *SQLServer) Where() string { return s.url }

// CPU is the time that the server's processes have used.
func (s *SQLServer) CPU() (time.Duration, error) {
	main := s.server.PID()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	ticks := int64(0)
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if len(fields) < 15 || fields[1] != strconv.Itoa(main) && pid != main {
			continue
		}
		for _, field := range fields[11:15] { // its own and its ended children's
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// Close ends the server.
func (s *SQLServer) Close() {
	s.life.end()
	servers.End()
}

// life is a test as far as servers need one, for a program that is none.
type life struct {
	testing.TB
	ends []func()
}

func (*life) Helper()                       {}
func (l *life) Cleanup(f func())            { l.ends = append(l.ends, f) }
func (*life) Fatal(values ...any)           { panic(fmt.Sprint(values...)) }
func (*life) Fatalf(f string, v ...any)     { panic(fmt.Sprintf(f, v...)) }
func (*life) Skipf(f string, values ...any) { panic(fmt.Sprintf(f, values...)) }
func (*life) Context() context.Context      { return context.Background() }

func (l *life) end() {
	for i := len(l.ends) - 1; i >= 0; i-- {
		l.ends[i]()
	}
}

// upsert is the peer: a statement for each decision, prepared, on as many connections as there are callers.
func upsert(driver, table, statement string) func(string, bool) (func(context.Context, string) (bool, error), func(), error) {
	return func(address string, _ bool) (func(context.Context, string) (bool, error), func(), error) {
		source := address
		if driver == "mysql" {
			before, after, _ := strings.Cut(strings.TrimPrefix(address, "mysql://"), "@")
			host, database, _ := strings.Cut(after, "/")
			source = before + "@tcp(" + host + ")/" + database
		}
		db, err := sql.Open(driver, source)
		if err != nil {
			return nil, nil, err
		}
		db.SetMaxOpenConns(64)
		db.SetMaxIdleConns(64)
		ctx := context.Background()
		_, _ = db.ExecContext(ctx, table) // it is there from the second row on
		prepared, err := db.PrepareContext(ctx, statement)
		if err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		decide := func(ctx context.Context, key string) (bool, error) {
			_, err := prepared.ExecContext(ctx, key)
			return err == nil, err
		}
		return decide, func() { db.Close() }, nil
	}
}

// stintOnSQL is a limiter of ours on a store around a database.
func stintOnSQL(around around) func(string, bool) (func(context.Context, string) (bool, error), func(), error) {
	return func(address string, small bool) (func(context.Context, string) (bool, error), func(), error) {
		shared, err := sqlstore.Open(context.Background(), address, sqlstore.Options{Timeout: 10 * time.Second})
		if err != nil {
			return nil, nil, err
		}
		return decider(shared, around, small)
	}
}
