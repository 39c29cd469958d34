package database

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// VersionError says that the tables are of a version that this process does not know.
type VersionError struct{ Found, Known int64 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("database: its tables are of version %d and this process knows %d: a newer stint has used it; update this one", e.Found, e.Known)
}

// migrateTries is how often migrations are tried: where the dialect has no lock another process may be at them in the same moment, and
// then this one finds them done.
const (
	migrateTries = 20
	migrateWait  = 100 * time.Millisecond
)

// Migrate brings the tables to this version. It does nothing where they are.
func (db *DB) Migrate(ctx context.Context) error {
	folder, err := fs.Sub(migrations, "migrations/"+db.dialect.name)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	for try := 1; ; try++ {
		err := db.migrate(ctx, folder)
		if _, newer := err.(*VersionError); err == nil || newer || db.dialect.lock != nil || try == migrateTries || ctx.Err() != nil { //nolint:errorlint // it is ours
			return err
		}
		pause := time.NewTimer(migrateWait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

func (db *DB) migrate(ctx context.Context, folder fs.FS) error {
	if err := db.Ping(ctx); err != nil {
		return fmt.Errorf("database: %s cannot be reached: %w", db.Redacted(), err)
	}
	if db.dialect.lock == nil {
		if _, err := db.Exec(ctx, "PRAGMA journal_mode = WAL"); err != nil {
			return fmt.Errorf("database: %s cannot be written: %w", db.Redacted(), err)
		}
	}
	options := []goose.ProviderOption{goose.WithTableName("stint_migration"), goose.WithDisableGlobalRegistry(true)}
	if db.dialect.lock != nil {
		options = append(options, goose.WithSessionLocker(db.dialect.lock))
	}
	provider, err := goose.NewProvider(db.dialect.migrator, db.sql, folder, options...)
	if err != nil {
		return fmt.Errorf("database: %w", db.conceal(err))
	}
	found, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("database: the version of its tables cannot be read: %w", db.conceal(err))
	}
	sources := provider.ListSources()
	if known := sources[len(sources)-1].Version; found > known {
		return &VersionError{found, known}
	}
	_, err = provider.Up(ctx)
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "already exists"):
		return fmt.Errorf("database: a table of one of its names is there already: give stint a database of its own, "+
			"and an empty one if its first start was cut off: %w", db.conceal(err))
	default:
		return fmt.Errorf("database: its tables cannot be made; the user needs the rights to create tables: %w", db.conceal(err))
	}
}
