package main

import (
	"context"
	"fmt"

	"github.com/stint-go/stint/service/accounts"
)

type plansCommand struct {
	accountsFlags
	Create planNameCommand  `cmd:"" help:"Make a plan."`
	List   planListCommand  `cmd:"" help:"List plans with their values."`
	Show   planNameCommand  `cmd:"" help:"Show a plan."`
	Set    planSetCommand   `cmd:"" help:"Give a plan a value of a limit; the plan is made if it is not there."`
	Unset  planUnsetCommand `cmd:"" help:"Take that value away."`
	Delete planNameCommand  `cmd:"" help:"Remove a plan. Its users have what the policy says."`
}

type planNameCommand struct {
	Name string `arg:"" help:"The plan's name."`
}

// Run shows the plan, after what the command says of it.
func (c *planNameCommand) Run(ctx context.Context, t *terminal, in *commands, verb verb) error {
	return in.Plans.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		switch verb {
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

type planListCommand struct{}

// Run lists the plans.
func (c *planListCommand) Run(ctx context.Context, t *terminal, in *commands) error {
	return in.Plans.on(ctx, t, func(a *accounts.Accounts) (any, error) { return a.Plans(ctx) })
}

type planSetCommand struct {
	Name  string `arg:"" help:"The plan's name."`
	Limit string `arg:"" help:"The limit's id in the policy."`
	Value string `arg:"" help:"The value, such as \"10000/hour\" or unlimited."`
}

// Run sets the value, and shows the plan.
func (c *planSetCommand) Run(ctx context.Context, t *terminal, in *commands) error {
	return in.Plans.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		if err := a.SetPlanValue(ctx, c.Name, c.Limit, c.Value); err != nil {
			return nil, err
		}
		return a.Plan(ctx, c.Name)
	})
}

type planUnsetCommand struct {
	Name  string `arg:"" help:"The plan's name."`
	Limit string `arg:"" help:"The limit's id in the policy."`
}

// Run takes the value away, and shows the plan.
func (c *planUnsetCommand) Run(ctx context.Context, t *terminal, in *commands) error {
	return in.Plans.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		if err := a.UnsetPlanValue(ctx, c.Name, c.Limit); err != nil {
			return nil, fmt.Errorf("plan %s has no value of %s", c.Name, c.Limit)
		}
		p, err := a.Plan(ctx, c.Name)
		return p, about("plan", c.Name, err)
	})
}
