package accounts

import (
	"context"
	"database/sql"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stint-go/stint/service/database"
)

// User is somebody who calls. Limits count per user, over all keys.
type User struct {
	Name       string            `json:"name"`
	Plan       string            `json:"plan"` // empty if there is none
	CreatedAt  time.Time         `json:"created_at"`
	DisabledAt *time.Time        `json:"disabled_at"` // nil if the keys work
	Values     map[string]string `json:"values,omitempty"`
}

// CreateUser makes a user, with a plan or without. A name that is taken is [ErrExists].
func (a *Accounts) CreateUser(ctx context.Context, name, plan string) (*User, error) {
	if err := checkName("the user's name", name); err != nil {
		return nil, err
	}
	if plan != "" {
		if err := checkID("the plan", plan); err != nil {
			return nil, err
		}
	}
	return a.insertUser(ctx, a.db, name, plan)
}

func (a *Accounts) insertUser(ctx context.Context, do database.Doer, name, plan string) (*User, error) {
	now := a.now()
	if _, err := do.Exec(ctx, "INSERT INTO {user} (name, plan, created_at) VALUES (?, ?, ?)", name, plan, now.Unix()); err != nil {
		return nil, err
	}
	return &User{Name: name, Plan: plan, CreatedAt: time.Unix(now.Unix(), 0).UTC()}, nil
}

const userColumns = "SELECT name, plan, created_at, disabled_at FROM {user}"

func scanUser(scan func(...any) error) (u User, err error) {
	var created int64
	var disabled sql.NullInt64
	err = scan(&u.Name, &u.Plan, &created, &disabled)
	u.CreatedAt, u.DisabledAt = time.Unix(created, 0).UTC(), timeOf(disabled)
	return u, err
}

// User is the user of that name, with the values that are its own.
func (a *Accounts) User(ctx context.Context, name string) (*User, error) {
	u, err := scanUser(a.db.QueryRow(ctx, userColumns+" WHERE name = ?", name).Scan)
	if err != nil {
		return nil, none(err)
	}
	u.Values, err = a.valuesOf(ctx, KindUser, name)
	return &u, err
}

// Users are at most n users by name, from behind the name after on.
func (a *Accounts) Users(ctx context.Context, after string, n int) ([]User, error) {
	rows, err := a.db.Query(ctx, userColumns+" WHERE name > ? ORDER BY name LIMIT ?", after, page(n))
	return all(rows, err, func(r *sql.Rows) (User, error) { return scanUser(r.Scan) })
}

// SetUserPlan gives a user another plan; empty for none.
func (a *Accounts) SetUserPlan(ctx context.Context, name, plan string) error {
	if plan != "" {
		if err := checkID("the plan", plan); err != nil {
			return err
		}
	}
	return changed(a.db.Exec(ctx, "UPDATE {user} SET plan = ? WHERE name = ?", plan, name))
}

// DisableUser stops all keys of a user, and EnableUser lets them work again.
func (a *Accounts) DisableUser(ctx context.Context, name string) error {
	return changed(a.db.Exec(ctx, "UPDATE {user} SET disabled_at = ? WHERE name = ?", a.now().Unix(), name))
}

// EnableUser lets the keys of a user work that was disabled.
func (a *Accounts) EnableUser(ctx context.Context, name string) error {
	return changed(a.db.Exec(ctx, "UPDATE {user} SET disabled_at = NULL WHERE name = ?", name))
}

// maxName is the longest name, in bytes.
const maxName = 128

// checkName says what is wrong with a name that people choose.
func checkName(what, name string) error {
	odd := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '*' }
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, odd) {
		return &InvalidError{what, "1 to 128 bytes of letters, digits and signs, without spaces and *"}
	}
	return nil
}

// checkID says what is wrong with an id that stands in a policy, too.
func checkID(what, id string) error {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, odd) {
		return &InvalidError{what, "1 to 64 letters, digits, - and _"}
	}
	return nil
}
