package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stint-go/stint/service/accounts"
)

type keysCommand struct {
	accountsFlags
	Create keyCreateCommand `command:"create" description:"Make an API key for a user, and print it: it is known now and never again."`
	List   keyListCommand   `command:"list" description:"List keys."`
	Show   keyIDCommand     `command:"show" description:"Show a key and the values that are its own."`
	Revoke keyIDCommand     `command:"revoke" description:"End a key for good, within two seconds."`
	Set    ownSetCommand    `command:"set" description:"Give a key a value of a limit."`
	Unset  ownUnsetCommand  `command:"unset" description:"Take that value away."`
}

type keyCreateCommand struct {
	leaf
	keyCreateArguments `positional-args:"yes" required:"yes"`
	Scope              []string `long:"scope" value-name:"SCOPE" default:"routes" description:"What it is for: routes, decide (the decision API), manage (blocks and resets over it). Several, joined by commas."`
	Expires            string   `long:"expires" value-name:"TIME" description:"When it ends: in 90d, 12h, or at 2027-01-31. Never unless said."`
	Label              string   `long:"label" description:"A word for people."`
}

// keyCreateArguments are what stands without a flag.
type keyCreateArguments struct {
	User string `positional-arg-name:"USER" description:"The user's name." required:"yes"`
}

// createdKey is a key with its secret.
type createdKey struct {
	*accounts.Key
	Secret string `json:"secret"`
}

// Run makes the key.
func (c *keyCreateCommand) Run(ctx context.Context, t *terminal, in line) error {
	scopes, err := accounts.ParseScopes(apart(c.Scope))
	if err != nil {
		return err
	}
	expires, err := parseExpiry(c.Expires, time.Now())
	if err != nil {
		return err
	}
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		k, secret, err := a.CreateKey(ctx, c.User, accounts.KeyOptions{Scopes: scopes, Expires: expires, Label: c.Label})
		if err != nil {
			return nil, about("user", c.User, err)
		}
		if in.JSON {
			return createdKey{k, secret}, nil
		}
		_, _ = fmt.Fprintf(t.err, "The key %s of %s; it is shown this once:\n", k.ID, k.User)
		return secret, nil
	})
}

// parseExpiry reads a span such as 90d or 12h, or a date.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			return now.AddDate(0, 0, int(n)), nil
		}
	}
	if span, err := time.ParseDuration(text); err == nil && span > 0 {
		return now.Add(span), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--expires %q: write a span such as 90d or 12h, or a date such as 2027-01-31", text)
}

type keyListCommand struct {
	leaf
	keyListArguments `positional-args:"yes"`
	listFlags
}

// keyListArguments are what stands without a flag.
type keyListArguments struct {
	User string `positional-arg-name:"USER" description:"Whose keys; all unless said."`
}

// Run lists keys.
func (c *keyListCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) { return a.Keys(ctx, c.User, c.After, c.Most) })
}

type keyIDCommand struct {
	leaf
	keyIDArguments `positional-args:"yes" required:"yes"`
}

// keyIDArguments are what stands without a flag.
type keyIDArguments struct {
	ID string `positional-arg-name:"ID" description:"The key's id: the 8 characters behind stint_." required:"yes"`
}

// Run shows the key, after what the command says of it.
func (c *keyIDCommand) Run(ctx context.Context, t *terminal, in line) error {
	return in.on(ctx, t, func(a *accounts.Accounts) (any, error) {
		if in.verb == "revoke" {
			if err := a.RevokeKey(ctx, c.ID); err != nil {
				return nil, about("key", c.ID, err)
			}
		}
		k, err := a.Key(ctx, c.ID)
		return k, about("key", c.ID, err)
	})
}
