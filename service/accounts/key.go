package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/database"
)

// Key is an API key as far as it may be shown.
type Key struct {
	ID         string            `json:"id"`
	User       string            `json:"user"`
	Scopes     []string          `json:"scopes"`
	Label      string            `json:"label"`
	CreatedAt  time.Time         `json:"created_at"`
	LastUsedAt *time.Time        `json:"last_used_at"` // to a minute or so; nil if never
	ExpiresAt  *time.Time        `json:"expires_at"`   // nil if it does not
	RevokedAt  *time.Time        `json:"revoked_at"`   // nil if it was not
	Values     map[string]string `json:"values,omitempty"`
}

// KeyOptions say what a key is for. The zero value is a key for the policy's routes that does not expire.
type KeyOptions struct {
	Scopes  policy.Scopes // default: ScopeRoutes
	Expires time.Time     // zero: never
	Label   string        // for people
}

// scopes are the words for scopes.
var scopes = []struct {
	word  string
	scope policy.Scopes
}{{"routes", policy.ScopeRoutes}, {"decide", policy.ScopeDecide}, {"manage", policy.ScopeManage}}

// ParseScopes reads scopes: routes, decide, manage.
func ParseScopes(words []string) (policy.Scopes, error) {
	var all policy.Scopes
next:
	for _, word := range words {
		for _, s := range scopes {
			if s.word == word {
				all |= s.scope
				continue next
			}
		}
		return 0, &InvalidError{fmt.Sprintf("the scope %q", word), "routes (calls of the policy's routes), decide (the decision API) and manage (blocks and resets over it)"}
	}
	return all, nil
}

func scopeWords(s policy.Scopes) []string {
	words := []string{}
	for _, one := range scopes {
		if s.Has(one.scope) {
			words = append(words, one.word)
		}
	}
	return words
}

// CreateKey makes a key for a user. The secret is what the caller sends; it is known now and never again.
func (a *Accounts) CreateKey(ctx context.Context, user string, o KeyOptions) (k *Key, secret string, err error) {
	now := a.now()
	switch {
	case !o.Expires.IsZero() && !o.Expires.After(now):
		return nil, "", &InvalidError{"the expiry", "a time that is yet to come"}
	case len(o.Label) > maxName || strings.ContainsFunc(o.Label, func(r rune) bool { return r < ' ' }):
		return nil, "", &InvalidError{"the label", "at most 128 bytes without line breaks"}
	case o.Scopes == 0:
		o.Scopes = policy.ScopeRoutes
	}
	id, secret, err := a.insertKey(ctx, a.db, user, o)
	if err != nil {
		return nil, "", err
	}
	k, err = a.Key(ctx, id)
	return k, secret, err
}

func (a *Accounts) insertKey(ctx context.Context, do database.Doer, user string, o KeyOptions) (id, secret string, err error) {
	var owner int64
	if err := do.QueryRow(ctx, "SELECT id FROM {user} WHERE name = ?", user).Scan(&owner); err != nil {
		return "", "", none(err)
	}
	for range 8 { // an id that is taken already is one of 2^47
		secret, id = newSecret()
		hash, _ := hashOf(secret)
		_, err = do.Exec(ctx, "INSERT INTO api_key (id, user_id, hash, scopes, label, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			id, owner, hash[:], int(o.Scopes), o.Label, a.now().Unix(), seconds(o.Expires))
		if !errors.Is(err, ErrExists) {
			break
		}
	}
	return id, secret, err
}

const keyColumns = "SELECT k.id, u.name, k.scopes, k.label, k.created_at, k.last_used_at, k.expires_at, k.revoked_at FROM api_key k JOIN {user} u ON u.id = k.user_id"

func scanKey(scan func(...any) error) (k Key, err error) {
	var granted policy.Scopes
	var created int64
	var used, expires, revoked sql.NullInt64
	err = scan(&k.ID, &k.User, &granted, &k.Label, &created, &used, &expires, &revoked)
	k.Scopes, k.CreatedAt = scopeWords(granted), time.Unix(created, 0).UTC()
	k.LastUsedAt, k.ExpiresAt, k.RevokedAt = timeOf(used), timeOf(expires), timeOf(revoked)
	return k, err
}

// Key is the key of that id, with the values that are its own.
func (a *Accounts) Key(ctx context.Context, id string) (*Key, error) {
	k, err := scanKey(a.db.QueryRow(ctx, keyColumns+" WHERE k.id = ?", id).Scan)
	if err != nil {
		return nil, none(err)
	}
	k.Values, err = a.valuesOf(ctx, KindKey, id)
	return &k, err
}

// Keys are at most n keys by id, from behind the id after on: those of a user, or all if it is empty.
func (a *Accounts) Keys(ctx context.Context, user, after string, n int) ([]Key, error) {
	where, values := " WHERE k.id > ?", []any{after}
	if user != "" {
		where, values = where+" AND u.name = ?", append(values, user)
	}
	rows, err := a.db.Query(ctx, keyColumns+where+" ORDER BY k.id LIMIT ?", append(values, page(n))...)
	return all(rows, err, func(r *sql.Rows) (Key, error) { return scanKey(r.Scan) })
}

// RevokeKey ends a key for good. It stops working within two seconds on every instance. To revoke it twice is no error.
func (a *Accounts) RevokeKey(ctx context.Context, id string) error {
	return changed(a.db.Exec(ctx, "UPDATE api_key SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ?", a.now().Unix(), id))
}
