package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// Override is the value of a limit that is somebody's own.
type Override struct {
	Kind    string `json:"kind"`    // KindKey, KindUser or KindWildcard
	Subject string `json:"subject"` // a key's id, a user's name, or a pattern such as team-*
	Limit   string `json:"limit"`   // the limit's id in the policy
	Value   string `json:"value"`   // such as "100/hour", or "unlimited"
}

// The kinds of subject.
const (
	KindKey      = "key"
	KindUser     = "user"
	KindWildcard = "wildcard" // all users whose names fit
)

// SetOverride gives a subject a value of its own, in place of one that it has. A user need not exist yet.
func (a *Accounts) SetOverride(ctx context.Context, o Override) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.Kind == KindKey {
		if _, err := a.Key(ctx, o.Subject); err != nil {
			return err
		}
	}
	_, err := a.db.Exec(ctx, "INSERT INTO limit_override (kind, subject, limit_id, value) VALUES (?, ?, ?, ?)"+
		a.db.Upsert("limit_override", "kind, subject, limit_id", nil, []string{"value"}), o.Kind, o.Subject, o.Limit, o.Value)
	return err
}

// UnsetOverride takes a value away again.
func (a *Accounts) UnsetOverride(ctx context.Context, kind, subject, limit string) error {
	return changed(a.db.Exec(ctx, "DELETE FROM limit_override WHERE kind = ? AND subject = ? AND limit_id = ?", kind, subject, limit))
}

// Overrides are all of a kind, or of all kinds if it is empty, by subject, kind and limit: at most n, from behind the one after on. Of
// that the value does not matter, and the zero value is before all.
func (a *Accounts) Overrides(ctx context.Context, kind string, after Override, n int) ([]Override, error) {
	where, values := " WHERE (subject, kind, limit_id) > (?, ?, ?)", []any{after.Subject, after.Kind, after.Limit}
	if kind != "" {
		where, values = where+" AND kind = ?", append(values, kind)
	}
	rows, err := a.db.Query(ctx, "SELECT kind, subject, limit_id, value FROM limit_override"+where+" ORDER BY subject, kind, limit_id LIMIT ?", append(values, page(n))...)
	return all(rows, err, func(r *sql.Rows) (o Override, err error) {
		err = r.Scan(&o.Kind, &o.Subject, &o.Limit, &o.Value)
		return o, err
	})
}

// ParsePlace reads whose value of which limit is meant, written KIND/SUBJECT/LIMIT as in the admin API's paths. Empty is the zero value.
func ParsePlace(text string) (o Override, err error) {
	if text == "" {
		return o, nil
	}
	kind, rest, _ := strings.Cut(text, "/")
	last := strings.LastIndexByte(rest, '/')
	if last < 0 {
		return o, &InvalidError{fmt.Sprintf("the place %q", text), "KIND/SUBJECT/LIMIT, such as user/alice/hourly"}
	}
	return Override{Kind: kind, Subject: rest[:last], Limit: rest[last+1:]}, nil
}

func (o *Override) check() error {
	if err := checkID("the limit's id", o.Limit); err != nil {
		return err
	}
	if err := CheckValue(o.Value); err != nil {
		return err
	}
	switch o.Kind {
	case KindUser:
		return checkName("the user's name", o.Subject)
	case KindWildcard:
		before, after, ok := strings.Cut(o.Subject, "*")
		if rest := before + after; !ok || rest != "" && checkName("", rest) != nil || len(o.Subject) > maxName {
			return &InvalidError{"the pattern " + o.Subject, "a part of a user's name with one *, such as team-*"}
		}
		return nil
	case KindKey:
		return nil
	}
	return &InvalidError{"the kind " + o.Kind, "key, user or wildcard"}
}

// maxValue is the longest text of a value.
const maxValue = 255

// CheckValue says why a text is no value of a limit. Whether it fits the limit of a policy is for that to say: policy.Limit.Check.
func CheckValue(text string) error {
	if len(text) > maxValue {
		return &InvalidError{"the value", "a limit of at most 255 bytes, such as 100/hour"}
	}
	_, err := stint.ParseLimit(text)
	return err
}

func (a *Accounts) valuesOf(ctx context.Context, kind, subject string) (map[string]string, error) {
	rows, err := a.db.Query(ctx, "SELECT limit_id, value FROM limit_override WHERE kind = ? AND subject = ?", kind, subject)
	return mapOf(rows, err)
}

// mapOf reads rows of two columns.
func mapOf(rows *sql.Rows, err error) (map[string]string, error) {
	pairs, err := all(rows, err, func(r *sql.Rows) (p [2]string, err error) {
		err = r.Scan(&p[0], &p[1])
		return p, err
	})
	if len(pairs) == 0 || err != nil {
		return nil, err
	}
	values := make(map[string]string, len(pairs))
	for _, p := range pairs {
		values[p[0]] = p[1]
	}
	return values, nil
}

// Plan is a named set of values.
type Plan struct {
	Name      string            `json:"name"`
	CreatedAt time.Time         `json:"created_at"`
	Values    map[string]string `json:"values"`
}

// CreatePlan makes a plan without values: then the policy's plan of that name holds, if it has one.
func (a *Accounts) CreatePlan(ctx context.Context, name string) error {
	if err := checkID("the plan's name", name); err != nil {
		return err
	}
	_, err := a.db.Exec(ctx, "INSERT INTO plan (name, created_at) VALUES (?, ?)", name, a.now().Unix())
	return err
}

// Plan is the plan of that name.
func (a *Accounts) Plan(ctx context.Context, name string) (*Plan, error) {
	plans, err := a.plans(ctx, " WHERE p.name = ?", name)
	if err != nil || len(plans) > 0 {
		if err != nil {
			return nil, err
		}
		return &plans[0], nil
	}
	return nil, ErrNotFound
}

// Plans are all plans, by name.
func (a *Accounts) Plans(ctx context.Context) ([]Plan, error) { return a.plans(ctx, "") }

func (a *Accounts) plans(ctx context.Context, where string, values ...any) ([]Plan, error) {
	rows, err := a.db.Query(ctx, "SELECT p.name, p.created_at, v.limit_id, v.value FROM plan p LEFT JOIN plan_value v ON v.plan = p.name"+where+" ORDER BY p.name, v.limit_id", values...)
	type row struct {
		name    string
		created int64
		limit   sql.NullString
		value   sql.NullString
	}
	found, err := all(rows, err, func(r *sql.Rows) (f row, err error) {
		err = r.Scan(&f.name, &f.created, &f.limit, &f.value)
		return f, err
	})
	plans := []Plan{}
	for _, f := range found {
		if len(plans) == 0 || plans[len(plans)-1].Name != f.name {
			plans = append(plans, Plan{f.name, time.Unix(f.created, 0).UTC(), map[string]string{}})
		}
		if f.limit.Valid {
			plans[len(plans)-1].Values[f.limit.String] = f.value.String
		}
	}
	return plans, err
}

// SetPlanValue gives a plan a value of a limit; the plan is made if it is not there.
func (a *Accounts) SetPlanValue(ctx context.Context, plan, limit, value string) error {
	if err := errors.Join(checkID("the plan's name", plan), checkID("the limit's id", limit), CheckValue(value)); err != nil {
		return err
	}
	if err := a.CreatePlan(ctx, plan); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	_, err := a.db.Exec(ctx, "INSERT INTO plan_value (plan, limit_id, value) VALUES (?, ?, ?)"+
		a.db.Upsert("plan_value", "plan, limit_id", nil, []string{"value"}), plan, limit, value)
	return err
}

// UnsetPlanValue takes a value away again.
func (a *Accounts) UnsetPlanValue(ctx context.Context, plan, limit string) error {
	return changed(a.db.Exec(ctx, "DELETE FROM plan_value WHERE plan = ? AND limit_id = ?", plan, limit))
}

// DeletePlan removes a plan with its values. Its users keep its name, and have what the policy says.
func (a *Accounts) DeletePlan(ctx context.Context, plan string) error {
	if _, err := a.db.Exec(ctx, "DELETE FROM plan_value WHERE plan = ?", plan); err != nil {
		return err
	}
	return changed(a.db.Exec(ctx, "DELETE FROM plan WHERE name = ?", plan))
}
