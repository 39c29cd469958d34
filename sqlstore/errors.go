package sqlstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/stint-go/stint"
)

// ErrUnknown says that the connection was lost, or the time was up, while a decision was being written: whether it was is not known.
// The units stay charged if it was.
const ErrUnknown stint.Error = "stint: sql store: whether the decision was written is not known"

// SchemaError says that the store's tables are missing or of another version.
type SchemaError struct {
	Found, Known int // versions; Found is 0 if there are no tables
	Reason       string
}

func (e *SchemaError) Error() string { return "stint: sql store: " + e.Reason }

func errorf(format string, args ...any) error {
	return fmt.Errorf("stint: sql store: "+format, args...)
}

// explained says what to do about an error at construction.
func explained(d dialect, doing string, err error) error {
	switch d.failure(err) {
	case noRight:
		return errorf("%s: the database user lacks a privilege: grant it, or let an administrator run Schema and SELECT, INSERT, UPDATE and DELETE be granted on its tables: %w", doing, err)
	case noDatabase:
		if _, file := d.(sqlite); file {
			return errorf("%s: the file cannot be opened: check that it is a database, and that its folder is there and may be written: %w", doing, err)
		}
		return errorf("%s: the database refuses the login: check user, password and name of the database: %w", doing, err)
	case noTable:
		return errorf("%s: a table is not there: let New make it, or let an administrator run Schema: %w", doing, err)
	}
	return errorf("%s: %w", doing, err)
}

// withoutSecret is the error with the secret, as it is written in a URL or as it is meant, taken out of its text.
func withoutSecret(err error, secret string) error {
	if err == nil || secret == "" {
		return err
	}
	text := strings.ReplaceAll(err.Error(), secret, "***")
	if meant, failed := url.PathUnescape(secret); failed == nil {
		text = strings.ReplaceAll(text, meant, "***")
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
