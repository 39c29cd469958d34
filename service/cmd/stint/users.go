package main

import (
	"context"

	"github.com/stint-go/stint/service/accounts"
)

type usersCommand struct {
	accountsFlags
	Create  userCreateCommand `cmd:"" help:"Make a user."`
	List    userListCommand   `cmd:"" help:"List users."`
	Show    userNameCommand   `cmd:"" help:"Show a user and the values that are its own."`
	Plan    userPlanCommand   `cmd:"" help:"Give a user a plan."`
	Disable userNameCommand   `cmd:"" help:"Stop all keys of a user, within two seconds."`
	Enable  userNameCommand   `cmd:"" help:"Let the keys of a user work again."`
	Set     ownSetCommand     `cmd:"" help:"Give a user, or all whose names fit a pattern such as team-*, a value of a limit."`
	Unset   ownUnsetCommand   `cmd:"" help:"Take that value away."`
	Values  valuesCommand     `cmd:"" help:"List all values that users, patterns and keys have for themselves."`
}

type userCreateCommand struct {
	Name string `arg:"" help:"The user's name."`
	Plan string `placeholder:"PLAN" help:"The user's plan."`
}

// Run makes the user.
func (c *userCreateCommand) Run(ctx context.Context, t *terminal, in *commands) error {
	return in.Users.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		u, err := a.CreateUser(ctx, c.Name, c.Plan)
		return u, about("user", c.Name, err)
	})
}

type userListCommand struct{ listFlags }

// Run lists users.
func (c *userListCommand) Run(ctx context.Context, t *terminal, in *commands) error {
	return in.Users.on(ctx, t, func(a *accounts.Accounts) (any, error) { return a.Users(ctx, c.After, c.Most) })
}

type userNameCommand struct {
	Name string `arg:"" help:"The user's name."`
}

// Run shows the user, after what the command says of it.
func (c *userNameCommand) Run(ctx context.Context, t *terminal, in *commands, verb verb) error {
	return in.Users.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		var err error
		switch verb {
		case "disable":
			err = a.DisableUser(ctx, c.Name)
		case "enable":
			err = a.EnableUser(ctx, c.Name)
		}
		if err != nil {
			return nil, about("user", c.Name, err)
		}
		u, err := a.User(ctx, c.Name)
		return u, about("user", c.Name, err)
	})
}

type userPlanCommand struct {
	Name string `arg:"" help:"The user's name."`
	Plan string `arg:"" help:"The plan; \"\" for none."`
}

// Run gives the user the plan.
func (c *userPlanCommand) Run(ctx context.Context, t *terminal, in *commands) error {
	return in.Users.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		if err := a.SetUserPlan(ctx, c.Name, c.Plan); err != nil {
			return nil, about("user", c.Name, err)
		}
		u, err := a.User(ctx, c.Name)
		return u, about("user", c.Name, err)
	})
}

type ownSetCommand struct {
	Name  string `arg:"" help:"Whose."`
	Limit string `arg:"" help:"The limit's id in the policy."`
	Value string `arg:"" help:"The value, such as \"500/hour\" or unlimited."`
}

// Run sets the value.
func (c *ownSetCommand) Run(ctx context.Context, t *terminal, of *accountsFlags, kind ownKind) error {
	return of.on(ctx, t, func(a *accounts.Accounts) (any, error) { return setOwn(ctx, a, string(kind), c.Name, c.Limit, c.Value) })
}

type ownUnsetCommand struct {
	Name  string `arg:"" help:"Whose."`
	Limit string `arg:"" help:"The limit's id in the policy."`
}

// Run takes the value away.
func (c *ownUnsetCommand) Run(ctx context.Context, t *terminal, of *accountsFlags, kind ownKind) error {
	return of.on(ctx, t, func(a *accounts.Accounts) (any, error) { return unsetOwn(ctx, a, string(kind), c.Name, c.Limit) })
}

type valuesCommand struct{ listFlags }

// Run lists the values.
func (c *valuesCommand) Run(ctx context.Context, t *terminal, in *commands) error {
	return in.Users.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		after, err := accounts.ParsePlace(c.After)
		if err != nil {
			return nil, err
		}
		return a.Overrides(ctx, "", after, c.Most)
	})
}
