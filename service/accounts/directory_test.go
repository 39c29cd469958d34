package accounts

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint/policy"
)

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

// directed is a directory under test, on a clock of its own.
func directed(t *testing.T, a *Accounts, o DirectoryOptions) (*Directory, *clock) {
	t.Helper()
	c := newClock()
	o.Now = c.now
	a.now = c.now
	d := must[*Directory](t)(NewDirectory(a, o))
	t.Cleanup(func() { _ = d.Close() })
	return d, c
}

func TestLook(t *testing.T) {
	onEach(t, func(t *testing.T, a *Accounts) {
		d, c := directed(t, a, DirectoryOptions{})
		ctx := t.Context()
		must[*User](t)(a.CreateUser(ctx, "alice", "pro"))
		key, secret, err := a.CreateKey(ctx, "alice", KeyOptions{Scopes: policy.ScopeDecide, Expires: c.now().Add(time.Hour)})
		ok(t, err)
		caller, err := d.Look(ctx, secret, "192.0.2.1")
		if err != nil || caller.User != "alice" || caller.Key != key.ID || caller.Plan != "pro" || caller.Scopes != policy.ScopeDecide {
			t.Fatalf("%+v, %v", caller, err)
		}
		c.pass(time.Second)
		must[*policy.Caller](t)(d.Look(ctx, secret, ""))
		ok(t, d.WriteUses(ctx))
		if used := must[*Key](t)(a.Key(ctx, key.ID)).LastUsedAt; used == nil || used.Unix() != c.now().Unix() {
			t.Errorf("last used at %v, now is %v", used, c.now())
		}
		// Revoked, disabled, expired: within two seconds it is as if the key had never been.
		for what, f := range map[string][2]func() error{
			"disabled": {func() error { return a.DisableUser(ctx, "alice") }, func() error { return a.EnableUser(ctx, "alice") }},
			"expired":  {func() error { c.pass(time.Hour); return nil }, func() error { c.pass(-time.Hour); return nil }},
		} {
			ok(t, f[0]())
			c.pass(Fresh)
			if _, err := d.Look(ctx, secret, "192.0.2.1"); !errors.Is(err, policy.ErrInvalidKey) {
				t.Errorf("%s: %v", what, err)
			}
			ok(t, f[1]())
			c.pass(Fresh)
			if _, err := d.Look(ctx, secret, "192.0.2.1"); err != nil {
				t.Errorf("no longer %s: %v", what, err)
			}
		}
		ok(t, a.RevokeKey(ctx, key.ID))
		c.pass(Fresh)
		if _, err := d.Look(ctx, secret, "192.0.2.1"); !errors.Is(err, policy.ErrInvalidKey) {
			t.Errorf("revoked: %v", err)
		}
	})
}

// An answer is kept for two seconds, found or not, and one that is used is asked for anew before it is too old.
func TestLooksAreCached(t *testing.T) {
	a := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	d, c := directed(t, a, DirectoryOptions{})
	ctx := t.Context()
	must[*User](t)(a.CreateUser(ctx, "alice", ""))
	_, secret, err := a.CreateKey(ctx, "alice", KeyOptions{})
	ok(t, err)
	unknown, _ := newSecret()
	for range 100 {
		must[*policy.Caller](t)(d.Look(ctx, secret, ""))
		if _, err := d.Look(ctx, unknown, ""); !errors.Is(err, policy.ErrInvalidKey) {
			t.Fatal(err)
		}
		slip := []byte(secret)
		slip[20] = digits[(strings.IndexByte(digits, slip[20])+1)%len(digits)]
		for _, malformed := range []string{"stint_no", string(slip)} {
			if _, err := d.Look(ctx, malformed, ""); !errors.Is(err, policy.ErrInvalidKey) {
				t.Fatal(err)
			}
		}
	}
	if s := d.Stats(); s.Asked != 2 || s.Kept != 2 || s.Looks != 400 {
		t.Errorf("%+v", s)
	}
	for range 10 { // a busy key is asked for beside the calls, once a second
		c.pass(refreshAfter)
		must[*policy.Caller](t)(d.Look(ctx, secret, ""))
		d.beside.Wait()
	}
	if s := d.Stats(); s.Asked != 12 {
		t.Errorf("asked %d times", s.Asked)
	}
}

// A use is written although the answer that it had was replaced meanwhile.
func TestUseOfAnAnswerThatIsReplaced(t *testing.T) {
	a := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	d, c := directed(t, a, DirectoryOptions{})
	ctx := t.Context()
	must[*User](t)(a.CreateUser(ctx, "alice", ""))
	key, secret, err := a.CreateKey(ctx, "alice", KeyOptions{})
	ok(t, err)
	must[*policy.Caller](t)(d.Look(ctx, secret, ""))
	hash, _ := hashOf(secret)
	old := d.cache.get(hash)
	c.pass(time.Second)
	d.refresh(hash)
	d.beside.Wait()
	must[*policy.Caller](t)(old.answer(c.now()))
	ok(t, d.WriteUses(ctx))
	if used := must[*Key](t)(a.Key(ctx, key.ID)).LastUsedAt; used == nil || used.Unix() != c.now().Unix() {
		t.Errorf("last used at %v, now is %v", used, c.now())
	}
}

// A database that is back is asked again, and what was revoked meanwhile is so for a directory of another process, too.
func TestAccountsLostAndBack(t *testing.T) {
	address := "sqlite:" + filepath.Join(t.TempDir(), "a.db")
	a, b := open(t, address), open(t, address)
	d, c := directed(t, a, DirectoryOptions{})
	ctx := t.Context()
	must[*User](t)(b.CreateUser(ctx, "alice", ""))
	key, secret, err := b.CreateKey(ctx, "alice", KeyOptions{})
	ok(t, err)
	must[*policy.Caller](t)(d.Look(ctx, secret, ""))
	gone := must[sql.Result](t)
	gone(b.db.Exec(ctx, "ALTER TABLE api_key RENAME TO api_key_away"))
	c.pass(Fresh)
	must[*policy.Caller](t)(d.Look(ctx, secret, ""))
	if s := d.Stats(); !s.Lost || s.Grace <= 0 || s.Grace > time.Minute {
		t.Errorf("it is not lost, or has another grace: %+v", s)
	}
	gone(b.db.Exec(ctx, "ALTER TABLE api_key_away RENAME TO api_key"))
	ok(t, b.RevokeKey(ctx, key.ID))
	if _, err := d.Look(ctx, secret, ""); !errors.Is(err, policy.ErrInvalidKey) {
		t.Errorf("revoked by another process while the database was lost: %v", err)
	}
	if d.Stats().Lost {
		t.Error("it is still lost")
	}
}

// Many calls with one key make one look-up.
func TestOneLookUpAtATime(t *testing.T) {
	a := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	d, _ := directed(t, a, DirectoryOptions{})
	ctx := t.Context()
	must[*User](t)(a.CreateUser(ctx, "alice", ""))
	_, secret, err := a.CreateKey(ctx, "alice", KeyOptions{})
	ok(t, err)
	var wait sync.WaitGroup
	for i := range 19 { // as many as an address may fail: it is not known yet that they will not
		wait.Go(func() {
			if _, err := d.Look(ctx, secret, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if s := d.Stats(); s.Asked != 1 {
		t.Errorf("%d look-ups for one key", s.Asked)
	}
}

// An address that guesses is stopped before the database is asked; others go on, and so do known keys from the same address.
func TestGuessing(t *testing.T) {
	a := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	d, _ := directed(t, a, DirectoryOptions{})
	ctx := t.Context()
	must[*User](t)(a.CreateUser(ctx, "alice", ""))
	_, secret, err := a.CreateKey(ctx, "alice", KeyOptions{})
	ok(t, err)
	must[*policy.Caller](t)(d.Look(ctx, secret, "192.0.2.1"))
	var stopped atomic.Int64
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			for range 20 {
				guess, _ := newSecret()
				_, err := d.Look(ctx, guess, "192.0.2.1")
				var tries *policy.TriesError
				switch {
				case errors.As(err, &tries) && tries.RetryAfter > 0:
					stopped.Add(1)
				case !errors.Is(err, policy.ErrInvalidKey):
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if s := d.Stats(); stopped.Load() != 180 || s.Asked != 21 {
		t.Errorf("of 200 guesses %d were stopped, and the database was asked %d times", stopped.Load(), s.Asked)
	}
	guess, _ := newSecret()
	if _, err := d.Look(ctx, guess, "192.0.2.2"); !errors.Is(err, policy.ErrInvalidKey) {
		t.Errorf("another address: %v", err)
	}
	must[*policy.Caller](t)(d.Look(ctx, secret, "192.0.2.1"))
}

// While the database is lost, keys that are known go on for a while, and others are not said to be wrong.
func TestAccountsLost(t *testing.T) {
	a := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	d, c := directed(t, a, DirectoryOptions{Grace: 30 * time.Second})
	ctx := t.Context()
	must[*User](t)(a.CreateUser(ctx, "alice", ""))
	_, secret, err := a.CreateKey(ctx, "alice", KeyOptions{})
	ok(t, err)
	must[*policy.Caller](t)(d.Look(ctx, secret, ""))
	ok(t, a.db.Close())
	for range 31 {
		c.pass(time.Second)
		if _, err := d.Look(ctx, secret, ""); err != nil {
			t.Fatalf("a known key, %v: %v", d.Stats(), err)
		}
		d.beside.Wait()
	}
	c.pass(time.Second)
	if _, err := d.Look(ctx, secret, ""); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after the grace: %v", err)
	}
	for range 50 {
		unknown, _ := newSecret()
		if _, err := d.Look(ctx, unknown, ""); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("an unknown key: %v", err)
		}
	}
	if s := d.Stats(); !s.Lost || s.Graced == 0 || s.Grace != 0 {
		t.Errorf("%+v", s)
	}
}

// The cache is bounded, and guesses do not push callers out.
func TestCacheIsBounded(t *testing.T) {
	a := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	d, _ := directed(t, a, DirectoryOptions{MaxKeys: 640})
	ctx := t.Context()
	must[*User](t)(a.CreateUser(ctx, "alice", ""))
	var secrets []string
	for range 50 {
		_, secret, err := a.CreateKey(ctx, "alice", KeyOptions{})
		ok(t, err)
		secrets = append(secrets, secret)
		must[*policy.Caller](t)(d.Look(ctx, secret, secret))
	}
	for i := range 3000 {
		guess, _ := newSecret()
		_, _ = d.Look(ctx, guess, fmt.Sprint("address", i))
	}
	if s := d.Stats(); s.Kept > 640 {
		t.Errorf("%d answers are kept", s.Kept)
	}
	before := d.Stats().Asked
	for _, secret := range secrets {
		must[*policy.Caller](t)(d.Look(ctx, secret, secret))
	}
	if asked := d.Stats().Asked - before; asked > 5 {
		t.Errorf("%d of 50 callers had been pushed out by guesses", asked)
	}
}

func BenchmarkLook(b *testing.B) {
	a := open(b, "sqlite:"+filepath.Join(b.TempDir(), "a.db"))
	d := must[*Directory](b)(NewDirectory(a, DirectoryOptions{}))
	b.Cleanup(func() { _ = d.Close() })
	must[*User](b)(a.CreateUser(b.Context(), "alice", ""))
	_, secret, err := a.CreateKey(b.Context(), "alice", KeyOptions{})
	ok(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Look(b.Context(), secret, "192.0.2.1"); err != nil {
			b.Fatal(err)
		}
	}
}

// Callers who have just come behind one address are no guesses, however many they are at once, with one key or with many.
func TestManyNewCallersOfOneAddress(t *testing.T) {
	a := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	d, _ := directed(t, a, DirectoryOptions{})
	ctx := t.Context()
	must[*User](t)(a.CreateUser(ctx, "alice", ""))
	var secrets []string
	for range 60 {
		_, secret, err := a.CreateKey(ctx, "alice", KeyOptions{})
		ok(t, err)
		secrets = append(secrets, secret, secret, secret)
	}
	var wait sync.WaitGroup
	for _, secret := range secrets {
		wait.Go(func() {
			if _, err := d.Look(ctx, secret, "192.0.2.1"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(d.tries.underWay) != 0 {
		t.Errorf("%d addresses have look-ups under way at the end", len(d.tries.underWay))
	}
}
