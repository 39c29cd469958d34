package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/database"
)

// accountsFlags are the flags of every command that reads or changes accounts.
type accountsFlags struct {
	Accounts string `long:"accounts" value-name:"URL" env:"STINT_ACCOUNTS" description:"The database: sqlite:FILE, postgres://… or mysql://…. The one of stint serve on this machine unless said."`
	Data     string `long:"data" value-name:"FOLDER" env:"STINT_DATA" description:"The folder of stint serve, in which the default database is."`
	JSON     bool   `long:"json" description:"Print JSON."`
}

// accountsAt is the address of the accounts, that of the data folder if none is given.
func accountsAt(address, folder string) (string, error) {
	if address != "" {
		return address, nil
	}
	d, err := openData(folder)
	if err != nil {
		return "", err
	}
	return "sqlite:" + d.file(accountsFile), d.close()
}

// on does something with the accounts, and prints what comes of it.
func (c *accountsFlags) on(ctx context.Context, t *terminal, do func(a *accounts.Accounts) (any, error)) error {
	address, err := accountsAt(c.Accounts, c.Data)
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, address, database.Options{})
	if err != nil {
		return fmt.Errorf("--accounts: %w", oneLine(err))
	}
	result, err := do(accounts.New(db))
	if err := errors.Join(err, db.Close()); err != nil {
		return oneLine(err)
	}
	if c.JSON {
		to := json.NewEncoder(t.out)
		to.SetIndent("", "  ")
		return to.Encode(result)
	}
	return printed(t.out, result)
}

// printed prints accounts as tables, and other things as they are.
func printed(w io.Writer, result any) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		texts := make([]string, len(cells))
		for i, cell := range cells {
			texts[i] = cellText(cell)
		}
		fmt.Fprintln(table, strings.Join(texts, "\t"))
	}
	users := func(list ...accounts.User) {
		row("USER", "PLAN", "CREATED", "DISABLED", "OWN VALUES")
		for _, u := range list {
			row(u.Name, u.Plan, &u.CreatedAt, u.DisabledAt, u.Values)
		}
	}
	keys := func(list ...accounts.Key) {
		row("KEY", "USER", "SCOPES", "LABEL", "CREATED", "LAST USED", "EXPIRES", "REVOKED", "OWN VALUES")
		for _, k := range list {
			row(k.ID, k.User, strings.Join(k.Scopes, ","), k.Label, &k.CreatedAt, k.LastUsedAt, k.ExpiresAt, k.RevokedAt, k.Values)
		}
	}
	plans := func(list ...accounts.Plan) {
		row("PLAN", "CREATED", "VALUES")
		for _, p := range list {
			row(p.Name, &p.CreatedAt, p.Values)
		}
	}
	switch r := result.(type) {
	case *accounts.User:
		users(*r)
	case []accounts.User:
		users(r...)
	case *accounts.Key:
		keys(*r)
	case []accounts.Key:
		keys(r...)
	case *accounts.Plan:
		plans(*r)
	case []accounts.Plan:
		plans(r...)
	case []accounts.Override:
		row("KIND", "SUBJECT", "LIMIT", "VALUE")
		for _, o := range r {
			row(o.Kind, o.Subject, o.Limit, o.Value)
		}
	default:
		fmt.Fprintln(table, result)
	}
	return table.Flush()
}

func cellText(cell any) string {
	switch v := cell.(type) {
	case *time.Time:
		if v != nil {
			return v.Format("2006-01-02 15:04")
		}
	case map[string]string:
		var pairs []string
		for limit, value := range v {
			pairs = append(pairs, limit+"="+value)
		}
		slices.Sort(pairs)
		if len(pairs) > 0 {
			return strings.Join(pairs, ", ")
		}
	case string:
		if v != "" {
			return v
		}
	}
	return "-"
}

// about is an error that names what it is about.
func about(what, name string, err error) error {
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return fmt.Errorf("there is no %s %q", what, name)
	case errors.Is(err, accounts.ErrExists):
		return fmt.Errorf("there is a %s %q already", what, name)
	}
	return err
}

// listFlags are the flags of every list.
type listFlags struct {
	After string `long:"after" value-name:"NAME" description:"Begin behind this one; of values, KIND/SUBJECT/LIMIT."`
	Most  int    `long:"most" default:"100" description:"How many, at most 1000."`
}

// subject is whose value an argument names: a pattern is a wildcard.
func subject(kind, name string) (string, string) {
	if kind == accounts.KindUser && strings.Contains(name, "*") {
		return accounts.KindWildcard, name
	}
	return kind, name
}

// setOwn gives somebody a value of a limit.
func setOwn(ctx context.Context, a *accounts.Accounts, kind, name, limit, value string) (any, error) {
	o := accounts.Override{Limit: limit, Value: value}
	o.Kind, o.Subject = subject(kind, name)
	if err := a.SetOverride(ctx, o); err != nil {
		return nil, about(o.Kind, name, err)
	}
	return fmt.Sprintf("%s %s has %s of %s for itself", o.Kind, name, value, limit), nil
}

// unsetOwn takes a value away.
func unsetOwn(ctx context.Context, a *accounts.Accounts, kind, name, limit string) (any, error) {
	kind, name = subject(kind, name)
	if err := a.UnsetOverride(ctx, kind, name, limit); err != nil {
		if errors.Is(err, accounts.ErrNotFound) {
			return nil, fmt.Errorf("%s %s has no value of %s for itself", kind, name, limit)
		}
		return nil, err
	}
	return fmt.Sprintf("%s %s has no value of %s for itself any more", kind, name, limit), nil
}
