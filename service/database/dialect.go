package database

import (
	"errors"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
	"github.com/pressly/goose/v3"
)

// dialect is what differs between databases.
type dialect struct {
	name     string // of the folder of migrations
	driver   string
	migrator goose.Dialect
	user     string        // the table user, quoted
	numbered bool          // parameters are $1, $2, …
	lock     *advisoryLock // of the migrations; nil if a migration locks all by itself
	unique   func(err error) bool
}

var (
	sqliteDialect = dialect{"sqlite", "sqlite3", goose.DialectSQLite3, `"user"`, false, nil, func(err error) bool {
		return errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) || errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY)
	}}
	postgresDialect = dialect{"postgres", "pgx", goose.DialectPostgres, `"user"`, true, postgresLock, func(err error) bool {
		wrong, ok := errors.AsType[*pgconn.PgError](err)
		return ok && wrong.Code == "23505"
	}}
	mysqlDialect = dialect{"mysql", "mysql", goose.DialectMySQL, "`user`", false, mysqlLock, func(err error) bool {
		wrong, ok := errors.AsType[*mysql.MySQLError](err)
		return ok && wrong.Number == 1062
	}}
)

// statement is a statement in the dialect's form.
func (d *dialect) statement(text string) string {
	text = strings.ReplaceAll(text, "{user}", d.user)
	if !d.numbered {
		return text
	}
	var b strings.Builder
	n := 0
	for {
		before, after, found := strings.Cut(text, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		text = after
	}
}
