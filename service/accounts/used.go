package accounts

import (
	"context"
	"time"

	"github.com/stint-go/stint/service/database"
)

// WriteUses writes when keys were last used, as far as this directory knows. Call it now and then, and before Close.
func (d *Directory) WriteUses(ctx context.Context) error {
	uses := d.cache.used()
	for len(uses) > 0 {
		part := uses[:min(len(uses), usesAtOnce)]
		uses = uses[len(part):]
		if err := d.accounts.writeUses(ctx, part); err != nil {
			return err
		}
		for _, u := range part {
			u.entry.used.CompareAndSwap(u.second, 0)
		}
	}
	return nil
}

// writeEvery is how often uses are written, and usesAtOnce how many in one transaction.
const (
	writeEvery = time.Minute
	usesAtOnce = 500
)

// Run writes uses until ctx ends. failed is told of what cannot be written; it is tried again a minute later.
func (d *Directory) Run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := d.WriteUses(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (a *Accounts) writeUses(ctx context.Context, uses []use) error {
	return a.db.In(ctx, func(tx database.Doer) error {
		for _, u := range uses {
			if _, err := tx.Exec(ctx, "UPDATE api_key SET last_used_at = ? WHERE id = ? AND COALESCE(last_used_at, 0) < ?", u.second, u.key, u.second); err != nil {
				return err
			}
		}
		return nil
	})
}
