package sqlstore

import (
	"fmt"
	"time"
)

// Options are how a store works with its database. The zero value is ready to use: durable, exact, on the database's own clock.
type Options struct {
	// Relaxed commits without waiting for the disk: many times the speed on one hot key, and a crash of the database's machine (not
	// of this process) may lose the last moments of what was counted, which is then granted once more. PostgreSQL: the session's
	// synchronous_commit is off; lost is at most three times wal_writer_delay, 0.6 s by default. SQLite: synchronous is NORMAL;
	// lost are the commits since the last checkpoint of the write-ahead log. MySQL and MariaDB have no such setting for a session,
	// so New refuses it there: set innodb_flush_log_at_trx_commit = 2 on the server, which loses up to a second.
	Relaxed bool

	// NoSchema never makes tables: a database without them is refused. Default: New makes them, which needs the privilege once.
	NoSchema bool

	// Connections are how many of the database's connections the store holds for itself, made when they are needed. Default: 8, or
	// what the pool allows if that is fewer. SQLite has one writer, so there it is always 1.
	Connections int

	// Timeout bounds every call, the wait for a connection and for a lock included. Default: 5 s. A context's earlier deadline holds.
	Timeout time.Duration

	// SweepEvery is how often a small step removes rows that have said nothing for a minute. Default: 1 s, and never with a Clock. Negative:
	// never; then call Sweep.
	SweepEvery time.Duration

	// Clock replaces the clock, for tests: instants in ticks ([stint.Tick]) since the Unix epoch. nil is the database's own, and for
	// SQLite the machine's.
	Clock func() int64
}

func (o *Options) validate(d Dialect) error {
	if o.Connections < 0 || o.Timeout < 0 {
		return fmt.Errorf("stint: sql store: options: a bound is negative (Connections %d, Timeout %v)", o.Connections, o.Timeout)
	}
	if o.Relaxed && d == MySQL {
		return errorf("options: Relaxed is not a session's to choose on MySQL and MariaDB; set innodb_flush_log_at_trx_commit = 2 on the server instead")
	}
	if o.Connections == 0 {
		o.Connections = 8
	}
	if d == SQLite {
		o.Connections = 1
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.SweepEvery == 0 && o.Clock != nil {
		o.SweepEvery = -1 // such a clock may be set back between its reading and the removal
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = time.Second
	}
	return nil
}
