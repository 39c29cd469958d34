package main

import (
	"context"
	"fmt"

	"github.com/stint-go/stint/service/accounts"
)

type plansCommand struct {
	accountsFlags
	Create planNameCommand  `command:"create" description:"Make a plan."`
	List   planListCommand  `command:"list" description:"List plans with their values."`
	Show   planNameCommand  `command:"show" description:"Show a plan."`
	Set    planSetCommand   `command:"set" description:"Give a plan a value of a limit; the plan is made if it is not there."`
	Unset  planUnsetCommand `command:"unset" description:"Take that value away."`
	Delete planNameCommand  `command:"delete" description:"Remove a plan. Its users have what the policy says."`
}

type planNameCommand struct {
	leaf
	planNameArguments `positional-args:"yes" required:"yes"`
}

// planNameArguments are what stands without a flag.
type planNameArguments struct {
	Name string `positional-arg-name:"NAME" description:"The plan's name." required:"yes"`
}

// Run shows the plan, after what the command says of it.
func (c *planNameCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		switch in.verb {
		case "create":
			if err := a.CreatePlan(ctx, c.Name); err != nil {
				return nil, about("plan", c.Name, err)
			}
		case "delete":
			if err := a.DeletePlan(ctx, c.Name); err != nil {
				return nil, about("plan", c.Name, err)
			}
			return fmt.Sprintf("plan %s is gone", c.Name), nil
		}
		p, err := a.Plan(ctx, c.Name)
		return p, about("plan", c.Name, err)
	})
}

type planListCommand struct {
	leaf
}

// Run lists the plans.
func (c *planListCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) { return a.Plans(ctx) })
}

type planSetCommand struct {
	leaf
	planSetArguments `positional-args:"yes" required:"yes"`
}

// planSetArguments are what stands without a flag.
type planSetArguments struct {
	Name  string `positional-arg-name:"NAME" description:"The plan's name." required:"yes"`
	Limit string `positional-arg-name:"LIMIT" description:"The limit's id in the policy." required:"yes"`
	Value string `positional-arg-name:"VALUE" description:"The value, such as \"10000/hour\" or unlimited." required:"yes"`
}

// Run sets the value, and shows the plan.
func (c *planSetCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		if err := a.SetPlanValue(ctx, c.Name, c.Limit, c.Value); err != nil {
			return nil, err
		}
		return a.Plan(ctx, c.Name)
	})
}

type planUnsetCommand struct {
	leaf
	planUnsetArguments `positional-args:"yes" required:"yes"`
}

// planUnsetArguments are what stands without a flag.
type planUnsetArguments struct {
	Name  string `positional-arg-name:"NAME" description:"The plan's name." required:"yes"`
	Limit string `positional-arg-name:"LIMIT" description:"The limit's id in the policy." required:"yes"`
}

// Run takes the value away, and shows the plan.
func (c *planUnsetCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		if err := a.UnsetPlanValue(ctx, c.Name, c.Limit); err != nil {
			return nil, fmt.Errorf("plan %s has no value of %s", c.Name, c.Limit)
		}
		p, err := a.Plan(ctx, c.Name)
		return p, about("plan", c.Name, err)
	})
}
