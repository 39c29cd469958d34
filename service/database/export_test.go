package database

import (
	"context"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// MigrateTo brings the tables to an older version, as a process of that version would have.
func (db *DB) MigrateTo(ctx context.Context, version int64) error {
	provider, err := db.provider()
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, version)
	return err
}

// Newest is the version that this process knows.
func (db *DB) Newest() (int64, error) {
	provider, err := db.provider()
	if err != nil {
		return 0, err
	}
	sources := provider.ListSources()
	return sources[len(sources)-1].Version, nil
}

func (db *DB) provider() (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations/"+db.dialect.name)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(db.dialect.migrator, db.sql, folder, goose.WithTableName("stint_migration"), goose.WithDisableGlobalRegistry(true))
}
