package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"       // the driver of postgres:
	_ "github.com/ncruces/go-sqlite3/driver" // the driver of sqlite:, without C, so that the program is one static file

	"github.com/stint-go/stint/service/stores"
)

// Options say how a database is used. The zero value is ready to use.
type Options struct {
	// Timeout bounds the opening, migrations included, and MaxConnections how many connections are open at once. Default: 15 s and 8.
	Timeout        time.Duration
	MaxConnections int
}

func (o *Options) validate() error {
	if o.Timeout < 0 || o.MaxConnections < 0 {
		return errors.New("database: a bound is negative; 0 takes the default")
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 8
	}
	return nil
}

// DB is an open database. It is safe for concurrent use; close it at the end.
type DB struct {
	sql     *sql.DB
	dialect dialect
	address string
	timeout time.Duration // of the opening
}

// Open opens the database at an address and brings its tables to this version:
//
//	sqlite:/var/lib/stint/accounts.db
//	postgres://user:password@host:5432/database
//	mysql://user:password@host:3306/database                MariaDB, too
//
// What is special in a password is escaped, as %40 for @. No error shows the password.
func Open(ctx context.Context, address string, o Options) (*DB, error) {
	db, err := Connect(address, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	if err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Connect is Open without a word to the database: that may be lost now, and [DB.Migrate] comes later. The error is of an address that
// can never do.
func Connect(address string, o Options) (*DB, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	scheme, rest, _ := strings.Cut(address, ":")
	if scheme == "memory" || strings.HasPrefix(scheme, "redis") || scheme == "unix" {
		return nil, fmt.Errorf("database: a %s is no database; use sqlite:FILE, postgres:// or mysql://", scheme)
	}
	if err := stores.Check(address); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	db := &DB{address: address, timeout: o.Timeout}
	var source string
	var err error
	switch scheme {
	case "sqlite":
		db.dialect, source = sqliteDialect, sqliteSource(strings.TrimPrefix(rest, "//"))
	case "postgres", "postgresql":
		db.dialect, source = postgresDialect, address
	case "mysql", "mariadb":
		db.dialect = mysqlDialect
		source, err = mysqlSource(address)
	default:
		err = fmt.Errorf("database: the scheme %q is not known", scheme)
	}
	if err != nil {
		return nil, err
	}
	if db.sql, err = sql.Open(db.dialect.driver, source); err != nil {
		return nil, stores.Conceal(fmt.Errorf("database: %w", err), address)
	}
	db.sql.SetMaxOpenConns(o.MaxConnections)
	db.sql.SetMaxIdleConns(o.MaxConnections)
	db.sql.SetConnMaxIdleTime(5 * time.Minute)
	db.sql.SetConnMaxLifetime(30 * time.Minute) // so that a failover behind a name is followed
	return db, nil
}

// Close closes all connections.
func (db *DB) Close() error { return db.sql.Close() }

// Redacted is the address without its password.
func (db *DB) Redacted() string { return stores.Redacted(db.address) }

// Ping says whether the database can be reached.
func (db *DB) Ping(ctx context.Context) error { return db.conceal(db.sql.PingContext(ctx)) }

// sqliteSource opens a file that other processes use, too. Its write-ahead mode is a property of the file, set where its tables are made:
// a connection that asks for it anew is refused while another one is at it.
func sqliteSource(file string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: url.Values{
		"_pragma": {"busy_timeout(5000)", "synchronous(normal)", "foreign_keys(1)"}, "_txlock": {"immediate"},
	}.Encode()}).String()
}

// mysqlSource is a URL as the driver wants it.
func mysqlSource(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("database: the URL cannot be read; what is special in user and password is escaped, as %40 for @")
	}
	query := u.Query()
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr, c.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	if u.Port() == "" {
		c.Addr += ":3306"
	}
	if socket := query.Get("socket"); socket != "" {
		c.Net, c.Addr = "unix", socket
		query.Del("socket")
	}
	c.Timeout, c.ClientFoundRows = 5*time.Second, true
	if c.DBName == "" {
		return "", errors.New("database: the URL names no database; write mysql://user:password@host:3306/database")
	}
	source := c.FormatDSN()
	if len(query) > 0 {
		separator := "?"
		if strings.Contains(source, "?") {
			separator = "&"
		}
		source += separator + query.Encode()
	}
	if _, err := mysql.ParseDSN(source); err != nil {
		return "", stores.Conceal(fmt.Errorf("database: %w", err), address)
	}
	return source, nil
}
