package accounts

import (
	"context"
	"errors"

	"github.com/stint-go/stint/policy"
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
	if _, err := a.CreateUser(ctx, FirstUser, ""); err != nil {
		if errors.Is(err, ErrExists) {
			return "", nil
		}
		return "", err
	}
	_, secret, err = a.CreateKey(ctx, FirstUser, KeyOptions{Scopes: policy.ScopeRoutes | policy.ScopeDecide, Label: "made at the first start"})
	return secret, err
}
