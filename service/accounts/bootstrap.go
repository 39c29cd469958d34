package accounts

import (
	"context"
	"errors"

	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/database"
)

// FirstUser is the name of the user that [Accounts.Bootstrap] makes.
const FirstUser = "first"

// Bootstrap makes a first user and a key for routes and decisions where there is no user at all, and returns the secret; empty if there
// was one. Of several processes that do so at once one makes them.
func (a *Accounts) Bootstrap(ctx context.Context) (secret string, err error) {
	empty, err := a.Empty(ctx)
	if err != nil || !empty {
		return "", err
	}
	// Both or none: a user without a key would never get one, as the next start finds a user.
	err = a.db.In(ctx, func(tx database.Doer) error {
		if _, err := a.insertUser(ctx, tx, FirstUser, ""); err != nil {
			return err
		}
		_, secret, err = a.insertKey(ctx, tx, FirstUser, KeyOptions{Scopes: policy.ScopeRoutes | policy.ScopeDecide, Label: "made at the first start"})
		return err
	})
	if errors.Is(err, ErrExists) {
		return "", nil // another process was first
	}
	if err != nil {
		return "", err
	}
	return secret, nil
}
