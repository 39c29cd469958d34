package stores

import (
	"context"
	"strings"

	_ "github.com/go-sql-driver/mysql"       // the driver of mysql: and mariadb:
	_ "github.com/jackc/pgx/v5/stdlib"       // the driver of postgres:
	_ "github.com/ncruces/go-sqlite3/driver" // the driver of sqlite:, without C, so that the program is one static file

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/redisstore"
	"github.com/stint-go/stint/sqlstore"
)

// Options are the options of each kind of store. The zero value is ready to use.
type Options struct {
	Memory stint.MemoryOptions // of memory
	SQL    sqlstore.Options    // of PostgreSQL, MySQL, MariaDB and SQLite
	Redis  redisstore.Options  // of Redis and Valkey, alone, as a Cluster or behind Sentinel
}

// Open makes the store that an address names, and connects to it:
//
//	memory                                                   this process alone
//	sqlite:/var/lib/app/limits.db                            the processes of one machine
//	postgres://user:password@host:5432/database              PostgreSQL
//	mysql://user:password@host:3306/database                 MySQL, MariaDB
//	redis://user:password@host:6379/0                        a Redis or Valkey server; rediss:// by TLS
//	unix:///run/redis.sock                                   … by its socket
//	redis+cluster://host:port,host:port                      a Cluster; rediss+cluster:// by TLS
//	redis+sentinel://host:port,host:port/master              the master that Sentinels watch; rediss+sentinel:// by TLS
//
// What else an address may say is in [sqlstore.Open] and [redisstore.Open]. An address that cannot be read is an [*AddressError];
// no error shows a password. What is special in a password is escaped, as %40 for @. Opening takes as long as the kind's own Timeout
// at most. Close the store at the end.
func Open(ctx context.Context, address string, o Options) (stint.Store, error) {
	if address == "memory" {
		return opened(stint.NewMemory(o.Memory))
	}
	k, err := kindOf(address)
	if err != nil {
		return nil, err
	}
	secrets := secretsIn(address)
	switch k {
	case sql:
		store, err := sqlstore.Open(ctx, address, o.SQL)
		return opened(store, withoutSecrets(err, secrets))
	case sqlite:
		file := fileOf(address)
		if err := checkFile(file); err != nil {
			return nil, err
		}
		store, err := sqlstore.Open(ctx, address, o.SQL)
		return opened(store, fileError(file, err))
	default:
		store, err := redisstore.Open(ctx, address, o.Redis)
		return opened(store, withoutSecrets(err, secrets))
	}
}

// opened is the store, and no store at all beside an error.
func opened[S stint.Store](store S, err error) (stint.Store, error) {
	if err != nil {
		return nil, err
	}
	return store, nil
}

// kind is a group of schemes that one package opens.
type kind uint8

const (
	sql kind = iota
	sqlite
	redis
)

// kinds are the schemes, in the order in which they are told.
var kinds = []struct {
	scheme string
	kind   kind
}{
	{"sqlite", sqlite},
	{"postgres", sql}, {"postgresql", sql}, {"mysql", sql}, {"mariadb", sql},
	{"redis", redis}, {"rediss", redis}, {"unix", redis}, {"redis+cluster", redis}, {"rediss+cluster", redis},
	{"redis+sentinel", redis}, {"rediss+sentinel", redis},
}

func kindOf(address string) (kind, error) {
	scheme, rest, ok := strings.Cut(address, ":")
	for _, k := range kinds {
		switch {
		case k.scheme != scheme:
		case !ok || rest == "":
			return 0, &AddressError{"it is a scheme alone; write " + example(k.scheme)}
		case k.kind != sqlite && !strings.HasPrefix(rest, "//"):
			return 0, &AddressError{"two slashes are missing after " + scheme + ":; write " + example(k.scheme)}
		default:
			return k.kind, nil
		}
	}
	return 0, unknownScheme(scheme, ok)
}

// example is an address of the scheme.
func example(scheme string) string {
	switch scheme {
	case "sqlite":
		return "sqlite:/path/to/file"
	case "unix":
		return "unix:///path/to/socket"
	case "redis", "rediss":
		return scheme + "://user:password@host:port"
	case "redis+cluster", "rediss+cluster":
		return scheme + "://host:port,host:port"
	case "redis+sentinel", "rediss+sentinel":
		return scheme + "://host:port,host:port/master"
	}
	return scheme + "://user:password@host:port/database"
}
