package stores_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/redisstore"
	"github.com/stint-go/stint/service/stores"
	"github.com/stint-go/stint/sqlstore"
)

// quick gives up soon on servers that are not there.
var quick = stores.Options{SQL: sqlstore.Options{Timeout: 2 * time.Second}, Redis: redisstore.Options{Timeout: 50 * time.Millisecond}}

func TestOpen(t *testing.T) {
	for _, address := range []string{"memory", "sqlite:" + filepath.Join(t.TempDir(), "a b%?#.db"), "sqlite://" + filepath.Join(t.TempDir(), "limits.db")} {
		store, err := stores.Open(t.Context(), address, stores.Options{})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(2))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if d, err := limiter.Take(t.Context(), "k", 1); err != nil || d.Allowed != (i < 2) {
				t.Errorf("%s: take %d: %+v, %v", address, i, d, err)
			}
		}
		if err := store.Close(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// An address that cannot be read says what is allowed, and what was probably meant.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"":                      "there is no scheme; allowed are memory, sqlite:FILE",
		"/var/lib/limits.db":    "there is no scheme; allowed are",
		"postgers://h/d":        `no scheme "postgers" (did you mean postgres?)`,
		"pg://h/d":              "did you mean postgres?",
		"sqlite3:/x":            "did you mean sqlite?",
		"SQLITE:/x":             "did you mean sqlite?",
		"memroy":                "did you mean memory?",
		"memory:":               "did you mean memory?",
		"reddis://h":            "did you mean redis?",
		"redis-cluster://h":     "did you mean redis+cluster?",
		"valkey://h":            "did you mean redis?",
		"http://h":              `no scheme "http"; allowed are`,
		"redis:h":               "two slashes are missing after redis:; write redis://",
		"mysql:user@h/d":        "write mysql://user:password@host:port/database",
		"sqlite":                "write sqlite:/path/to/file",
		"sqlite:":               "write sqlite:/path/to/file",
		"redis+sentinel":        "write redis+sentinel://host:port,host:port/master",
		"host with blanks:6379": "there is no such scheme; allowed are",
	} {
		_, err := stores.Open(t.Context(), address, quick)
		if _, ok := errors.AsType[*stores.AddressError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; it should say %q", address, err, want)
		}
	}
}

// No error shows a password, whatever is wrong: the server that is not there, the address that is not escaped, the option.
func TestNoPasswordInErrors(t *testing.T) {
	const password, escaped, part = "s3cr%t/w@rd", "s3cr%25t%2Fw%40rd", "s3cr"
	for _, scheme := range []string{
		"postgres", "postgresql", "mysql", "mariadb", "redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel",
		"unix", "postgers", "http", "sqlite3", "REDIS",
	} {
		for _, rest := range []string{
			"://user:PW@127.0.0.1:1/db", "://:PW@127.0.0.1:1/db", "://user:PW@127.0.0.1:port/db", "://127.0.0.1:1/db?password=PW",
			"://127.0.0.1:1/db?sentinel-password=PW&x=y", "://user:PW@/db", "://user:PW@%zz/db", ":user:PW@127.0.0.1/db", "://user:PW", "://PW@127.0.0.1:1/db",
		} {
			for _, secret := range []string{escaped, password} {
				address := scheme + strings.ReplaceAll(rest, "PW", secret)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				store, err := stores.Open(ctx, address, quick)
				cancel()
				if err == nil {
					store.Close()
					t.Errorf("%s is open", address)
				} else if strings.Contains(err.Error(), part) {
					t.Errorf("%s: %v", address, err)
				}
				if shown := stores.Redacted(address); strings.Contains(address, "://") && strings.Contains(address, "@127") && strings.Contains(shown, part) {
					t.Errorf("%s is shown as %s", address, shown)
				}
			}
		}
	}
}

// A file that cannot be a store says what to do, and is left as it is.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	notes := strings.Repeat("these are notes, and no database\n", 100)
	if err := os.WriteFile(text, []byte(notes), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		dir:                                 "is a folder; name a file in it",
		filepath.Join(dir, "none", "x.db"):  "there is no folder",
		text:                                "is no SQLite database",
		filepath.Join(text, "limits.db"):    "not a directory",
		filepath.Join("/proc", "limits.db"): "cannot be written",
	} {
		store, err := stores.Open(t.Context(), "sqlite:"+file, quick)
		if err == nil {
			store.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; it should say %q", file, err, want)
		}
	}
	if now, err := os.ReadFile(text); err != nil || string(now) != notes {
		t.Errorf("the text was changed: %v", err)
	}
}
