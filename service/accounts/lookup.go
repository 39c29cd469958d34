package accounts

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/stint-go/stint/policy"
)

// identity is what the database says of a secret.
type identity struct {
	caller  policy.Caller
	expires int64 // seconds since 1970; MaxInt64 for never
}

// valid says whether the key may be used at an instant.
func (i *identity) valid(now time.Time) bool { return now.Unix() < i.expires }

// lookup asks the database who sent a secret. nil: nobody, or nobody any more.
func (a *Accounts) lookup(ctx context.Context, hash [sha256.Size]byte, shared *sharedValues) (*identity, error) {
	var found identity
	var expires, revoked, disabled sql.NullInt64
	c := &found.caller
	err := a.db.QueryRow(ctx, "SELECT k.id, u.name, u.plan, k.scopes, k.expires_at, k.revoked_at, u.disabled_at "+
		"FROM api_key k JOIN {user} u ON u.id = k.user_id WHERE k.hash = ?", hash[:]).
		Scan(&c.Key, &c.User, &c.Plan, &c.Scopes, &expires, &revoked, &disabled)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	case revoked.Valid, disabled.Valid:
		return nil, nil
	}
	if found.expires = math.MaxInt64; expires.Valid {
		found.expires = expires.Int64
	}
	rows, err := a.db.Query(ctx, "SELECT kind, limit_id, value FROM limit_override WHERE (kind = ? AND subject = ?) OR (kind = ? AND subject = ?)",
		KindKey, c.Key, KindUser, c.User)
	own, err := all(rows, err, func(r *sql.Rows) (o Override, err error) {
		err = r.Scan(&o.Kind, &o.Limit, &o.Value)
		return o, err
	})
	if err != nil {
		return nil, err
	}
	c.Values = shared.valuesFor(c, own)
	return &found, nil
}
