package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/database"
	"github.com/stint-go/stint/service/health"
	"github.com/stint-go/stint/service/stores"
	"github.com/stint-go/stint/service/usage"
)

// callers are the accounts of a service that runs. Their database may come and go.
type callers struct {
	db        *database.DB
	accounts  *accounts.Accounts
	directory *accounts.Directory
	usage     *usage.Recorder
	log       *slog.Logger
	there     atomic.Bool         // the tables are made
	tell      func(secret string) // shows a first key that is made after the start
}

// openWithin bounds how long it is waited for the accounts' database, at the start and at each try after that, and openAgain how often it is
// tried.
const (
	openWithin = 10 * time.Second
	openAgain  = time.Second
)

// openCallers opens the accounts at an address. If they are not there yet, the service starts without and finds them later.
func openCallers(ctx context.Context, address string, grace time.Duration, log *slog.Logger) (*callers, error) {
	db, err := database.Connect(address, database.Options{})
	if err != nil {
		return nil, err
	}
	c := &callers{db: db, accounts: accounts.New(db), log: log}
	if c.directory, err = accounts.NewDirectory(c.accounts, accounts.DirectoryOptions{Grace: grace}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if c.usage, err = usage.New(db, usage.Options{Log: log}); err != nil {
		return nil, errors.Join(err, c.directory.Close(), db.Close())
	}
	err = c.migrate(ctx)
	if newer := (*database.VersionError)(nil); errors.As(err, &newer) {
		return nil, errors.Join(err, c.close(ctx))
	}
	if c.there.Store(err == nil); err != nil {
		log.Error("the accounts' database is not there: API keys are answered 503 until it is", "accounts", stores.Redacted(address), "error", oneLine(err))
	}
	return c, nil
}

// migrate makes the tables, or brings them to this version.
func (c *callers) migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	return c.db.Migrate(ctx)
}

// first makes a first user and key where there is nobody, and returns the key.
func (c *callers) first(ctx context.Context) (string, error) {
	if !c.there.Load() {
		return "", nil
	}
	return c.accounts.Bootstrap(ctx)
}

// tend looks for the database if it was not there, and writes when keys were used, until ctx ends.
func (c *callers) tend(ctx context.Context) {
	tick := time.NewTicker(openAgain)
	defer tick.Stop()
	told := false
	for !c.there.Load() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.usage.Gather()
		if err := c.migrate(ctx); err == nil {
			c.there.Store(true)
			c.log.Info("the accounts' database is there", "accounts", c.db.Redacted())
			if secret, err := c.first(ctx); err != nil {
				c.log.Error("the first user cannot be made", "error", oneLine(err))
			} else if secret != "" {
				c.tell(secret)
			}
		} else if newer := (*database.VersionError)(nil); errors.As(err, &newer) && !told {
			told = true
			c.log.Error("the accounts' database is there, and of no use: API keys are answered 503", "accounts", c.db.Redacted(), "error", oneLine(err))
		}
	}
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { c.usage.Run(ctx) })
	c.directory.Run(ctx, func(err error) {
		c.log.Warn("when API keys were last used cannot be written; it is tried again in a minute", "error", err)
	})
}

// close writes what is left and ends the look-ups.
func (c *callers) close(ctx context.Context) error {
	var written error
	if c.there.Load() {
		written = errors.Join(c.usage.Close(ctx), c.directory.WriteUses(ctx))
	} else if c.usage.Gather(); c.usage.Stats().Pending > 0 {
		c.log.Warn("usage is lost: the accounts' database was never there", "counts", c.usage.Stats().Pending)
	}
	return errors.Join(written, c.directory.Close(), c.db.Close())
}

// identify looks up who sends an API key.
func (c *callers) identify(ctx context.Context, key, address string) (*policy.Caller, error) {
	return c.directory.Look(ctx, key, address)
}

// count counts what came of a request.
func (c *callers) count(v *httplimit.Verdict) {
	if d := &v.Decision; !d.Allowed && d.Reason == stint.Degraded && (v.Err != nil || d.RetryAfter == stint.Unknown) {
		return // nobody knows: it was not refused
	}
	of := usage.Of{Route: v.Route.Name}
	if v.Caller != nil {
		of.User, of.Key = v.Caller.User, v.Caller.Key
	}
	c.usage.Count(of, v.Decision.Allowed, max(v.Cost, 0))
}

// checks are whether keys can be looked up, and whether usage is written. A full disk stops that alone, and is no reason to send requests
// elsewhere; nor is the loss of the database, which all instances meet at once, as long as known keys go on.
func (c *callers) checks() []health.Check {
	return []health.Check{{Name: "accounts", Ready: func(ctx context.Context) error {
		if !c.there.Load() {
			return errors.New("the database was not there yet")
		}
		s := c.directory.Stats()
		switch {
		case !s.Lost || c.db.Ping(ctx) == nil: // the last look-up may be long ago
			return nil
		case s.Grace > 0:
			return health.Told{Err: fmt.Errorf("the database does not answer; keys that are known go on for %v more", s.Grace.Round(time.Second))}
		}
		return errors.New("the database does not answer")
	}}, {Name: "usage", Ready: func(context.Context) error {
		if s := c.usage.Stats(); s.Behind {
			return health.Told{Err: fmt.Errorf("it cannot be written now: %d counts wait in memory, %d calls are lost", s.Pending, s.Lost)}
		}
		return nil
	}}}
}

// logAccounts logs, every ten seconds at most, that keys cannot be looked up, and hands on all other errors.
func logAccounts(log *slog.Logger, next func(*http.Request, error)) func(*http.Request, error) {
	var last atomic.Int64
	return func(r *http.Request, err error) {
		if !errors.Is(err, accounts.ErrUnavailable) {
			next(r, err)
			return
		}
		now, told := time.Now().Unix(), last.Load()
		if now-told >= 10 && last.CompareAndSwap(told, now) && r.Context().Err() == nil {
			log.Error("API keys cannot be looked up, and are answered 503", "error", fmt.Sprint(oneLine(err)))
		}
	}
}
