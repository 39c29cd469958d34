package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"strings"
)

//go:embed schema/*.sql
var schemas embed.FS

// version is that of the tables. Each has a file of statements that lead to it from the one before.
const version = 1

// Schema is the statements that make the store's tables, for an administrator who lets no program make its own.
func Schema(d Dialect) string {
	text := ""
	for v := 1; v <= version; v++ {
		text += statements(d, v)
	}
	return text
}

func statements(d Dialect, v int) string {
	text, err := schemas.ReadFile(fmt.Sprintf("schema/%s.%d.sql", d, v))
	if err != nil {
		return "" // a dialect that does not exist
	}
	return string(text)
}

// prepare checks that the tables are there and of this version, and makes them if they may be made.
func (s *Store) prepare(ctx context.Context, d Dialect) error {
	if err := s.recognize(ctx); err != nil {
		return explained(s.dialect, "connect", err)
	}
	found, err := s.version(ctx)
	if err == nil && found == 0 {
		if s.options.NoSchema {
			return &SchemaError{0, version, "there are no tables: let an administrator run Schema, or leave NoSchema out"}
		}
		found, err = s.migrate(ctx, d)
	}
	if err != nil {
		return err
	}
	if found > version {
		return &SchemaError{found, version, fmt.Sprintf("the tables are of version %d and this process knows %d: update this process", found, version)}
	}
	return s.permitted(ctx)
}

// recognize asks the database what it is, where a dialect is that of several.
func (s *Store) recognize(ctx context.Context) error {
	se, err := s.sessions.get(ctx)
	if err != nil {
		return err
	}
	defer s.sessions.put(se)
	if d, several := s.dialect.(mysql); several {
		s.dialect, err = d.recognized(ctx, se)
		if err != nil {
			s.dialect, se.broken = d, true
		}
	}
	return err
}

// version is that of the tables that are there; 0 if there are none.
func (s *Store) version(ctx context.Context) (int, error) {
	se, err := s.sessions.get(ctx)
	if err != nil {
		return 0, explained(s.dialect, "connect", err)
	}
	defer s.sessions.put(se)
	n, err := se.number(ctx, "SELECT coalesce(max(version), -1) FROM stint_schema")
	switch {
	case err == nil && n < 1:
		return 0, &SchemaError{int(n), version, "the table stint_schema says no version: remove the tables whose names begin with stint_, or repair it"}
	case err == nil:
		return int(n), nil
	case s.dialect.failure(err) == noTable:
		return 0, nil
	}
	se.broken = true
	return 0, explained(s.dialect, "read the version of the tables", err)
}

// migrate makes the tables. Two processes may do so at once: then one of them fails, and finds what the other has made.
func (s *Store) migrate(ctx context.Context, d Dialect) (int, error) {
	failed := s.create(ctx, d)
	for tries := 1; failed != nil && tries <= maxTries; tries++ {
		if found, err := s.version(ctx); err != nil || found > 0 {
			return found, err
		}
		if s.dialect.failure(failed) == noRight || !pause(ctx, tries) {
			return 0, explained(s.dialect, "make the tables", failed)
		}
		failed = s.create(ctx, d)
	}
	if failed != nil {
		return 0, explained(s.dialect, "make the tables", failed)
	}
	return version, nil
}

// create runs the statements, in one transaction where the database has such for tables.
func (s *Store) create(ctx context.Context, d Dialect) error {
	se, err := s.sessions.get(ctx)
	if err != nil {
		return err
	}
	defer s.sessions.put(se)
	if err := se.control(ctx, s.dialect.begin()); err != nil {
		se.broken = true
		return err
	}
	for _, statement := range strings.Split(Schema(d), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if err := se.control(ctx, statement); err != nil {
			se.broken = se.control(ctx, "ROLLBACK") != nil
			return err
		}
	}
	return se.control(ctx, "COMMIT")
}

// permitted tries what the store does with each table, without changing anything, so that a privilege that is missing is an error
// now and not at the first call.
func (s *Store) permitted(ctx context.Context) error {
	se, err := s.sessions.get(ctx)
	if err != nil {
		return explained(s.dialect, "connect", err)
	}
	defer s.sessions.put(se)
	for _, try := range []struct{ doing, statement string }{
		{"read and write the keys", "UPDATE stint_keys SET keep_until = keep_until WHERE k = ?"},
		{"remove keys", "DELETE FROM stint_keys WHERE k = ?"},
		{"make keys", "INSERT INTO stint_keys (" + columns + ") SELECT " + columns + " FROM stint_keys WHERE k = ?"},
		{"write the limits' values", "INSERT INTO stint_values SELECT * FROM stint_values WHERE limit_id = ?"},
		{"remove used receipts", "DELETE FROM stint_receipts WHERE k = ?"},
		{"write used receipts", "INSERT INTO stint_receipts SELECT * FROM stint_receipts WHERE k = ?"},
	} {
		if _, err := se.conn.ExecContext(ctx, s.dialect.parameters(try.statement), []byte("never")); err != nil {
			se.broken = true
			return explained(s.dialect, try.doing, err)
		}
	}
	return nil
}
