package main

import (
	"context"

	"github.com/stint-go/stint/service/accounts"
)

type usersCommand struct {
	accountsFlags
	Create  userCreateCommand `command:"create" description:"Make a user."`
	List    userListCommand   `command:"list" description:"List users."`
	Show    userNameCommand   `command:"show" description:"Show a user and the values that are its own."`
	Plan    userPlanCommand   `command:"plan" description:"Give a user a plan."`
	Disable userNameCommand   `command:"disable" description:"Stop all keys of a user, within two seconds."`
	Enable  userNameCommand   `command:"enable" description:"Let the keys of a user work again."`
	Set     ownSetCommand     `command:"set" description:"Give a user, or all whose names fit a pattern such as team-*, a value of a limit."`
	Unset   ownUnsetCommand   `command:"unset" description:"Take that value away."`
	Values  valuesCommand     `command:"values" description:"List all values that users, patterns and keys have for themselves."`
}

type userCreateCommand struct {
	leaf
	userCreateArguments `positional-args:"yes" required:"yes"`
	Plan                string `long:"plan" value-name:"PLAN" description:"The user's plan."`
}

// userCreateArguments are what stands without a flag.
type userCreateArguments struct {
	Name string `positional-arg-name:"NAME" description:"The user's name." required:"yes"`
}

// Run makes the user.
func (c *userCreateCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		u, err := a.CreateUser(ctx, c.Name, c.Plan)
		return u, about("user", c.Name, err)
	})
}

type userListCommand struct {
	leaf
	listFlags
}

// Run lists users.
func (c *userListCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) { return a.Users(ctx, c.After, c.Most) })
}

type userNameCommand struct {
	leaf
	userNameArguments `positional-args:"yes" required:"yes"`
}

// userNameArguments are what stands without a flag.
type userNameArguments struct {
	Name string `positional-arg-name:"NAME" description:"The user's name." required:"yes"`
}

// Run shows the user, after what the command says of it.
func (c *userNameCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		var err error
		switch in.verb {
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
	leaf
	userPlanArguments `positional-args:"yes" required:"yes"`
}

// userPlanArguments are what stands without a flag.
type userPlanArguments struct {
	Name string `positional-arg-name:"NAME" description:"The user's name." required:"yes"`
	Plan string `positional-arg-name:"PLAN" description:"The plan; \"\" for none." required:"yes"`
}

// Run gives the user the plan.
func (c *userPlanCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		if err := a.SetUserPlan(ctx, c.Name, c.Plan); err != nil {
			return nil, about("user", c.Name, err)
		}
		u, err := a.User(ctx, c.Name)
		return u, about("user", c.Name, err)
	})
}

type ownSetCommand struct {
	leaf
	ownSetArguments `positional-args:"yes" required:"yes"`
}

// ownSetArguments are what stands without a flag.
type ownSetArguments struct {
	Name  string `positional-arg-name:"NAME" description:"Whose." required:"yes"`
	Limit string `positional-arg-name:"LIMIT" description:"The limit's id in the policy." required:"yes"`
	Value string `positional-arg-name:"VALUE" description:"The value, such as \"500/hour\" or unlimited." required:"yes"`
}

// Run sets the value.
func (c *ownSetCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) { return setOwn(ctx, a, in.kind, c.Name, c.Limit, c.Value) })
}

type ownUnsetCommand struct {
	leaf
	ownUnsetArguments `positional-args:"yes" required:"yes"`
}

// ownUnsetArguments are what stands without a flag.
type ownUnsetArguments struct {
	Name  string `positional-arg-name:"NAME" description:"Whose." required:"yes"`
	Limit string `positional-arg-name:"LIMIT" description:"The limit's id in the policy." required:"yes"`
}

// Run takes the value away.
func (c *ownUnsetCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) { return unsetOwn(ctx, a, in.kind, c.Name, c.Limit) })
}

type valuesCommand struct {
	leaf
	listFlags
}

// Run lists the values.
func (c *valuesCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		after, err := accounts.ParsePlace(c.After)
		if err != nil {
			return nil, err
		}
		return a.Overrides(ctx, "", after, c.Most)
	})
}
