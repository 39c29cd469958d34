package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// The tests on real servers are in the module storetest.

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		d    Dialect
		says string
	}{
		{Options{}, Postgres, ""},
		{Options{Relaxed: true}, SQLite, ""},
		{Options{Relaxed: true}, MySQL, "innodb_flush_log_at_trx_commit"},
		{Options{Connections: -1}, Postgres, "negative"},
		{Options{Timeout: -1}, Postgres, "negative"},
	} {
		err := c.o.validate(c.d)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.says)
		}
	}
	o := Options{Connections: 9, Clock: func() int64 { return 0 }}
	if err := o.validate(SQLite); err != nil || o.Connections != 1 || o.Timeout != 5*time.Second || o.SweepEvery >= 0 {
		t.Errorf("defaults are %+v, %v", o, err)
	}
}

// Durable is the default, whatever the database's own is.
func TestDurable(t *testing.T) {
	for _, c := range []struct {
		d                dialect
		durable, relaxed string
	}{{postgres{}, "WHEN 'off' THEN 'on'", "'synchronous_commit', 'off'"}, {sqlite{}, "synchronous = FULL", "synchronous = NORMAL"}} {
		durable, relaxed := strings.Join(c.d.settings(&Options{}), ";"), strings.Join(c.d.settings(&Options{Relaxed: true}), ";")
		if !strings.Contains(durable, c.durable) || strings.Contains(durable, c.relaxed) || !strings.Contains(relaxed, c.relaxed) {
			t.Errorf("durable: %s\nrelaxed: %s", durable, relaxed)
		}
	}
}

func TestMySQLSource(t *testing.T) {
	for address, want := range map[string]string{
		"mysql://u:p%40w@h/d":                        "u:p@w@tcp(h:3306)/d",
		"mysql://u@h:1/d?tls=true":                   "u@tcp(h:1)/d?tls=true",
		"mysql://u@[::1]:3307/d":                     "u@tcp([::1]:3307)/d",
		"mariadb://u@localhost/d?socket=/run/s.sock": "u@unix(/run/s.sock)/d",
	} {
		if got, err := mysqlSource(address); err != nil || got != want {
			t.Errorf("%s is %s, %v, want %s", address, got, err, want)
		}
	}
}

func TestSchemaOfEveryDialect(t *testing.T) {
	for _, d := range []Dialect{Postgres, MySQL, SQLite} {
		if text := Schema(d); strings.Count(text, "CREATE TABLE") != 4 {
			t.Errorf("%s: %s", d, text)
		}
		if _, err := d.dialect(); err != nil {
			t.Error(err)
		}
	}
	if text := Schema("oracle"); text != "" {
		t.Errorf("an unknown dialect has the schema %s", text)
	}
}

type coded string

func (c coded) Error() string    { return "it failed" }
func (c coded) SQLState() string { return string(c) }

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		d        dialect
		err      error
		is       failure
		answered bool
	}{
		{postgres{}, coded("40001"), conflict, true},
		{postgres{}, fmt.Errorf("wrapped: %w", coded("40P01")), conflict, true},
		{postgres{}, coded("42P01"), noTable, true},
		{postgres{}, coded("42501"), noRight, true},
		{postgres{}, coded("28P01"), noDatabase, true},
		{postgres{}, coded("57P01"), other, false},
		{postgres{}, errors.New("EOF"), other, false},
		{mysql{}, errors.New("Error 1213 (40001): Deadlock found"), conflict, true},
		{mysql{}, fmt.Errorf("wrapped: %w", errors.New("Error 1062 (23000): Duplicate entry")), conflict, true},
		{mysql{}, errors.New("Error 1142 (42000): denied"), noRight, true},
		{mysql{}, errors.New("Error 1053: Server shutdown"), other, false},
		{mysql{}, errors.New("invalid connection"), other, false},
		{sqlite{}, errors.New("database is locked"), conflict, true},
		{sqlite{}, errors.New("attempt to write a readonly database"), noRight, true},
	} {
		if got, answered := c.d.failure(c.err), c.d.answered(c.err); got != c.is || answered != c.answered {
			t.Errorf("%v is %d, answered: %v; want %d, %v", c.err, got, answered, c.is, c.answered)
		}
	}
}

func TestErrorsShowNoSecret(t *testing.T) {
	if err := withoutSecret(errors.New("login as u:pw123 failed"), "pw123"); strings.Contains(err.Error(), "pw123") {
		t.Error(err)
	}
	for address, want := range map[string]string{
		"postgres://u:p%40w@h/d": "p%40w", "postgres://u:p/w@h/d": "p/w", "postgres://u:p:w@h1:1,h2:2/d?x=a@b": "p:w", "postgres://u@h/d": "", "sqlite:/x": "", "": "",
	} {
		if got := secretOf(address); got != want {
			t.Errorf("the password in %s is %q", address, got)
		}
	}
	if err := withoutSecret(errors.New("login with p@w"), "p%40w"); strings.Contains(err.Error(), "p@w") {
		t.Error(err)
	}
	if err := withoutSecret(context.Canceled, "pw123"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Rows are distinct, in the order in which they are locked, and every claim finds its own.
func TestRowsOfClaims(t *testing.T) {
	l, err := stint.PerHour(1).Compile()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 40; n++ {
		claims := make([]stint.Claim, n)
		for i := range claims {
			claims[i] = stint.NewClaim(l, fmt.Sprint("k", rand.IntN(10)), 1)
		}
		rows, at := rowsOf(claims)
		for i := range rows[1:] {
			if string(rows[i].key) >= string(rows[i+1].key) {
				t.Fatalf("%q before %q", rows[i].key, rows[i+1].key)
			}
		}
		for i, c := range claims {
			if !strings.HasSuffix(string(at[i].key), c.Key) || at[i] != find(rows, at[i].key) {
				t.Fatalf("claim on %q has row %q", c.Key, at[i].key)
			}
		}
	}
}

// What a transcription leaves 64 bits for is left to the transaction.
func TestTranscribed(t *testing.T) {
	for _, c := range []struct {
		limit stint.Limit
		has   bool
	}{
		{stint.PerHour(100).WithBurst(5), true},
		{stint.Limit{Units: 1_000_000_007, Per: 7 * time.Nanosecond, Burst: 5, Strategy: stint.TokenBucket{}}, false}, // wide
		{stint.PerHour(100).WithStrategy(stint.Pacing{}), true},
		{stint.PerHour(100).WithStrategy(stint.FixedWindow{}), true},
		{stint.PerHour(100).WithStrategy(stint.SlidingCounter{}), true},
		{stint.Limit{Units: 1_000_000_000, Per: time.Second, Strategy: stint.SlidingCounter{}}, false}, // wide
		{stint.Limit{Units: 5, Per: 3000 * 24 * time.Hour, Strategy: stint.SlidingCounter{}}, false},   // fading passes 64 bits
		{stint.PerHour(100).WithStrategy(stint.IntervalBucket{}), true},
		{stint.PerCalendarMonth(100, nil), true},
		{stint.PerHour(100), false},
		{stint.PerHour(100).WithStrategy(stint.Concurrency{}), false},
	} {
		l, err := c.limit.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if got := transcribed(l) != nil; got != c.has {
			t.Errorf("%s has a transcription: %v", l, got)
		}
	}
}
