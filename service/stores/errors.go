package stores

import (
	"fmt"
	"strings"

	"github.com/stint-go/stint/policy"
)

// AddressError says what is wrong with the address of a store, and what to write instead. It never holds a password.
type AddressError struct{ Reason string }

func (e *AddressError) Error() string { return "the address of the store: " + e.Reason }

// longestScheme bounds what is shown of an address that cannot be read: what stands where the scheme should may be a password.
const longestScheme = 20

// unknownScheme says what is allowed. Where there is no scheme the whole address stands in its place, and is shown only if it is one word.
func unknownScheme(scheme string, cut bool) error {
	allowed := make([]string, 0, len(kinds)+1)
	for _, k := range kinds {
		allowed = append(allowed, k.scheme)
	}
	found := "there is no scheme"
	meant := policy.Nearest(scheme, append(allowed, "memory"))
	if another, ok := nicknames[strings.ToLower(scheme)]; ok {
		meant = another
	}
	if cut || meant != "" {
		found = "there is no such scheme"
		if len(scheme) <= longestScheme && !strings.ContainsAny(scheme, "@/ ") {
			found = fmt.Sprintf("there is no scheme %q", scheme)
		}
	}
	if meant != "" {
		found += fmt.Sprintf(" (did you mean %s?)", meant)
	}
	return &AddressError{fmt.Sprintf("%s; allowed are memory, sqlite:FILE, and %s, each with ://host", found, strings.Join(allowed[1:], ", "))}
}

// nicknames are what people call a store, too far from its scheme to be a slip of the finger.
var nicknames = map[string]string{
	"pg": "postgres", "pgx": "postgres", "psql": "postgres", "pgsql": "postgres", "file": "sqlite", "mem": "memory", "valkey": "redis",
	"valkeys": "rediss", "redis-cluster": "redis+cluster", "redis-sentinel": "redis+sentinel", "cluster": "redis+cluster",
	"sentinel": "redis+sentinel", "sqlite3": "sqlite",
}
