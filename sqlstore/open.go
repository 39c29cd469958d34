package sqlstore

import (
	"context"
	"database/sql"
	"net/url"
	"slices"
	"strings"
)

// Open makes a store on the database that a URL names, with a driver that the program has imported, and closes it with the store:
//
//	postgres://user:password@host:5432/database?sslmode=require
//	mysql://user:password@host:3306/database?tls=true       (MariaDB, too; ?socket=/path for a socket)
//	sqlite:/var/lib/app/limits.db
//
// The rest of a URL means what it means to the driver. No error shows the password.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	secret := secretOf(address)
	var d Dialect
	var source string
	var err error
	switch scheme {
	case "postgres", "postgresql":
		d, source = Postgres, address
		_, err = readURL(address) // the driver's own error would show parts of a password
	case "mysql", "mariadb":
		d = MySQL
		source, err = mysqlSource(address)
	case "sqlite":
		if d, source = SQLite, strings.TrimPrefix(rest, "//"); source == "" {
			err = errorf("the URL names no file; write sqlite:/path/to/file")
		}
	default:
		err = errorf("the URL begins with none of postgres:, mysql:, sqlite:")
	}
	if err != nil {
		return nil, err
	}
	driver, err := driverOf(d)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, withoutSecret(errorf("open: %w", err), secret)
	}
	s, err := newStore(ctx, &Store{db: db, owned: true, secret: secret}, d, o)
	if err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// drivers are the names under which the drivers of each dialect register, and one to import.
var drivers = map[Dialect]struct {
	names []string
	usual string
}{
	Postgres: {[]string{"pgx", "pgx/v5", "postgres"}, "github.com/jackc/pgx/v5/stdlib"},
	MySQL:    {[]string{"mysql"}, "github.com/go-sql-driver/mysql"},
	SQLite:   {[]string{"sqlite3", "sqlite"}, "github.com/mattn/go-sqlite3"},
}

func driverOf(d Dialect) (string, error) {
	there := sql.Drivers()
	for _, name := range drivers[d].names {
		if slices.Contains(there, name) {
			return name, nil
		}
	}
	return "", errorf("the program has no driver for %s: import one, such as _ %q", d, drivers[d].usual)
}

// secretOf is the password in a URL as it is written there; "" if there is none. It reads what no parser would: a password is not to
// be shown because something else in the URL is wrong.
func secretOf(address string) string {
	_, rest, _ := strings.Cut(address, "//")
	if end := strings.IndexAny(rest, "/?"); end >= 0 && strings.Contains(rest[:end], "@") {
		rest = rest[:end]
	}
	user := rest[:max(0, strings.LastIndex(rest, "@"))]
	_, secret, _ := strings.Cut(user, ":")
	return secret
}

// readURL is url.Parse with an error that does not repeat the URL, password and all.
func readURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errorf("the URL cannot be read; the port is a number, and what is special in user and password is escaped, as %%40 for @")
	}
	return u, nil
}

// mysqlSource is a URL as the MySQL driver wants it: user:password@tcp(host:port)/database?parameters.
func mysqlSource(address string) (string, error) {
	u, err := readURL(address)
	if err != nil {
		return "", err
	}
	query := u.Query()
	host := u.Host
	if u.Port() == "" {
		host += ":3306"
	}
	place := "tcp(" + host + ")"
	if socket := query.Get("socket"); socket != "" {
		place = "unix(" + socket + ")"
		query.Del("socket")
	}
	user := u.User.Username()
	if secret, ok := u.User.Password(); ok {
		user += ":" + secret
	}
	source := user + "@" + place + "/" + strings.TrimPrefix(u.Path, "/")
	if len(query) > 0 {
		source += "?" + query.Encode()
	}
	return source, nil
}
