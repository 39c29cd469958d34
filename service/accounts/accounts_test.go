package accounts

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/database"
	"github.com/stint-go/stint/storetest/servers"
)

func TestMain(m *testing.M) { servers.MainWithoutLeaks(m) }

// databases are one of each kind, empty.
func databases(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{
		"SQLite":     "sqlite:" + filepath.Join(t.TempDir(), "accounts.db"),
		"MariaDB":    servers.MariaDB(t).Database(t),
		"PostgreSQL": servers.Postgres(t).Database(t),
	}
	if address := servers.MySQL(t); address != "" {
		all["MySQL"] = address
	}
	return all
}

// onEach runs a test on accounts in every kind of database.
func onEach(t *testing.T, test func(t *testing.T, a *Accounts)) {
	t.Helper()
	for name, address := range databases(t) {
		t.Run(name, func(t *testing.T) { test(t, open(t, address)) })
	}
}

func open(t testing.TB, address string) *Accounts {
	t.Helper()
	db, err := database.Open(t.Context(), address, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return New(db)
}

// must is the value, where there is no error.
func must[T any](t testing.TB) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsersAndKeys(t *testing.T) {
	onEach(t, func(t *testing.T, a *Accounts) {
		ctx := t.Context()
		if empty, err := a.Empty(ctx); !empty || err != nil {
			t.Errorf("a new database is empty: %v, %v", empty, err)
		}
		for _, name := range []string{"bob", "alice", "Alice", "ünsal", `a"b`, "a'; DROP TABLE api_key; --x"} {
			want := strings.Contains(name, " ")
			if _, err := a.CreateUser(ctx, name, ""); (err != nil) != want {
				t.Errorf("user %q: %v", name, err)
			}
		}
		if _, err := a.CreateUser(ctx, "alice", ""); !errors.Is(err, ErrExists) {
			t.Errorf("a name that is taken: %v", err)
		}
		users := must[[]User](t)(a.Users(ctx, "", 0))
		var names []string
		for _, u := range users {
			names = append(names, u.Name)
		}
		if !slices.Equal(names, []string{"Alice", `a"b`, "alice", "bob", "ünsal"}) {
			t.Errorf("users %q", names)
		}
		if next := must[[]User](t)(a.Users(ctx, "alice", 1)); len(next) != 1 || next[0].Name != "bob" {
			t.Errorf("behind alice: %v", next)
		}
		if _, err := a.User(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		if _, _, err := a.CreateKey(ctx, "nobody", KeyOptions{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a key for nobody: %v", err)
		}
		key, secret, err := a.CreateKey(ctx, "alice", KeyOptions{Scopes: policy.ScopeRoutes | policy.ScopeManage, Label: "laptop", Expires: time.Now().Add(time.Hour)})
		ok(t, err)
		if key.ID != secret[6:14] || key.User != "alice" || !slices.Equal(key.Scopes, []string{"routes", "manage"}) || key.Label != "laptop" || key.ExpiresAt == nil || key.LastUsedAt != nil {
			t.Errorf("key %+v of %s", key, secret)
		}
		var stored int
		ok(t, a.db.QueryRow(ctx, "SELECT COUNT(*) FROM api_key WHERE hash = ?", []byte(secret)).Scan(&stored))
		if stored != 0 {
			t.Error("the secret itself is stored")
		}
		if keys := must[[]Key](t)(a.Keys(ctx, "alice", "", 10)); len(keys) != 1 || keys[0].ID != key.ID {
			t.Errorf("keys of alice: %v", keys)
		}
		ok(t, a.RevokeKey(ctx, key.ID))
		first := must[*Key](t)(a.Key(ctx, key.ID)).RevokedAt
		ok(t, a.RevokeKey(ctx, key.ID))
		if again := must[*Key](t)(a.Key(ctx, key.ID)).RevokedAt; first == nil || !again.Equal(*first) {
			t.Errorf("revoked at %v, then at %v", first, again)
		}
		if err := a.RevokeKey(ctx, "nothing"); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoking no key: %v", err)
		}
	})
}

// What is not allowed is refused with what is.
func TestInvalid(t *testing.T) {
	a := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	ctx := t.Context()
	_, past, errPast := a.CreateKey(ctx, "alice", KeyOptions{Expires: time.Now().Add(-time.Second)})
	_, _, errLabel := a.CreateKey(ctx, "alice", KeyOptions{Label: "a\nb"})
	_, errScope := ParseScopes([]string{"routes", "admin"})
	_, errStar := a.CreateUser(ctx, "team-*", "")
	_, errLong := a.CreateUser(ctx, strings.Repeat("x", 129), "")
	for what, err := range map[string]error{
		"an expiry in the past": errPast, "a label of two lines": errLabel, "an unknown scope": errScope, "a star in a name": errStar, "a long name": errLong,
		"a plan with a space":     a.CreatePlan(ctx, "pro plan"),
		"a month":                 a.SetPlanValue(ctx, "pro", "hourly", "10/month"),
		"a kind":                  a.SetOverride(ctx, Override{"team", "x", "hourly", "1/h"}),
		"two stars":               a.SetOverride(ctx, Override{KindWildcard, "a*b*", "hourly", "1/h"}),
		"no star":                 a.SetOverride(ctx, Override{KindWildcard, "team", "hourly", "1/h"}),
		"a limit's id with a dot": a.SetOverride(ctx, Override{KindUser, "x", "a.b", "1/h"}),
		"no such key":             a.SetOverride(ctx, Override{KindKey, "nothing", "hourly", "1/h"}),
	} {
		if err == nil || past != "" {
			t.Errorf("%s is taken", what)
		}
	}
}

// Of several values the narrowest one's holds.
func TestValues(t *testing.T) {
	onEach(t, func(t *testing.T, a *Accounts) {
		ctx := t.Context()
		ok(t, a.SetPlanValue(ctx, "pro", "hourly", "1000/hour"))
		ok(t, a.SetPlanValue(ctx, "pro", "hourly", "2000/hour"))
		ok(t, a.SetPlanValue(ctx, "pro", "daily", "9/day"))
		must[*User](t)(a.CreateUser(ctx, "team-a", "pro"))
		must[*User](t)(a.CreateUser(ctx, "team-b-1", "pro"))
		keyA, secretA, err := a.CreateKey(ctx, "team-a", KeyOptions{})
		ok(t, err)
		_, secretB, err := a.CreateKey(ctx, "team-b-1", KeyOptions{})
		ok(t, err)
		value := func(secret, limit string) string {
			d := must[*Directory](t)(NewDirectory(a, DirectoryOptions{}))
			defer d.Close()
			return must[*policy.Caller](t)(d.Look(ctx, secret, "192.0.2.1")).Values[limit]
		}
		want := func(what, secret, limit, want string) {
			t.Helper()
			if got := value(secret, limit); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		want("the plan's", secretA, "hourly", "2000/hour")
		ok(t, a.SetOverride(ctx, Override{KindWildcard, "*", "hourly", "3/hour"}))
		want("of all", secretA, "hourly", "3/hour")
		ok(t, a.SetOverride(ctx, Override{KindWildcard, "team-*", "hourly", "4/hour"}))
		want("of the team", secretA, "hourly", "4/hour")
		ok(t, a.SetOverride(ctx, Override{KindWildcard, "team-b-*", "hourly", "5/hour"}))
		want("of the longer pattern", secretB, "hourly", "5/hour")
		want("of the shorter pattern", secretA, "hourly", "4/hour")
		ok(t, a.SetOverride(ctx, Override{KindUser, "team-a", "hourly", "6/hour"}))
		want("the user's", secretA, "hourly", "6/hour")
		ok(t, a.SetOverride(ctx, Override{KindKey, keyA.ID, "hourly", "7/hour"}))
		want("the key's", secretA, "hourly", "7/hour")
		want("the plan's of another limit", secretA, "daily", "9/day")
		ok(t, a.UnsetOverride(ctx, KindKey, keyA.ID, "hourly"))
		want("the user's again", secretA, "hourly", "6/hour")
		if err := a.UnsetOverride(ctx, KindKey, keyA.ID, "hourly"); !errors.Is(err, ErrNotFound) {
			t.Errorf("taken away twice: %v", err)
		}
		if plan := must[*Plan](t)(a.Plan(ctx, "pro")); len(plan.Values) != 2 {
			t.Errorf("plan %+v", plan)
		}
		if plans := must[[]Plan](t)(a.Plans(ctx)); len(plans) != 1 {
			t.Errorf("plans %+v", plans)
		}
		if list := must[[]Override](t)(a.Overrides(ctx, KindWildcard, Override{}, 0)); len(list) != 3 {
			t.Errorf("wildcards %v", list)
		}
		// Page by page, all are listed once, though several are of one subject.
		ok(t, a.SetOverride(ctx, Override{KindUser, "team-a", "burst", "8/second"}))
		var paged []Override
		for place := (Override{}); ; place = paged[len(paged)-1] {
			page := must[[]Override](t)(a.Overrides(ctx, "", place, 1))
			if len(page) == 0 {
				break
			}
			if paged = append(paged, page...); len(paged) > 9 {
				break
			}
		}
		if whole := must[[]Override](t)(a.Overrides(ctx, "", Override{}, 0)); len(whole) != 5 || !slices.Equal(paged, whole) {
			t.Errorf("page by page %v, of %v", paged, whole)
		}
		ok(t, a.DeletePlan(ctx, "pro"))
		want("of a plan that is gone", secretA, "daily", "")
	})
}

// Of several processes that start on an empty database one makes the first user.
func TestBootstrapAtOnce(t *testing.T) {
	for name, address := range databases(t) {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var secrets []string
			var wait sync.WaitGroup
			for range 6 {
				wait.Go(func() {
					db, err := database.Open(context.Background(), address, database.Options{})
					if err != nil {
						t.Error(err)
						return
					}
					defer db.Close()
					secret, err := New(db).Bootstrap(context.Background())
					if err != nil {
						t.Error(err)
					}
					if secret != "" {
						mu.Lock()
						secrets = append(secrets, secret)
						mu.Unlock()
					}
				})
			}
			wait.Wait()
			if len(secrets) != 1 {
				t.Errorf("%d first keys were made", len(secrets))
			}
		})
	}
}

// A start that is cut off between the user and its key leaves neither, and the next one makes both.
func TestBootstrapCutOff(t *testing.T) {
	onEach(t, func(t *testing.T, a *Accounts) {
		ctx := t.Context()
		taken := must[sql.Result](t)
		taken(a.db.Exec(ctx, "ALTER TABLE api_key RENAME TO api_key_away"))
		if secret, err := a.Bootstrap(ctx); err == nil || secret != "" {
			t.Errorf("without a table for keys: %q, %v", secret, err)
		}
		taken(a.db.Exec(ctx, "ALTER TABLE api_key_away RENAME TO api_key"))
		if secret, err := a.Bootstrap(ctx); err != nil || secret == "" {
			t.Errorf("afterwards: %q, %v", secret, err)
		}
	})
}

// Secrets are as random as they say, and a slip in one is not looked up.
func TestSecrets(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		secret, id := newSecret()
		if _, good := hashOf(secret); !good || seen[id] || len(secret) != 47 {
			t.Fatalf("secret %q", secret)
		}
		seen[id] = true
		for i := range secret {
			for _, wrong := range []string{secret[:i], secret[:i] + "_" + secret[i+1:], secret[:i] + "é" + secret[i+1:]} {
				if _, good := hashOf(wrong); good && wrong != secret {
					t.Fatalf("%q is taken for a secret", wrong)
				}
			}
		}
	}
}
