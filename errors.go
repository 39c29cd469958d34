package stint

import "fmt"

// Error is a constant error of this package. Test for one with [errors.Is].
type Error string

func (e Error) Error() string { return string(e) }

// The errors that a call can return. None of them is a denial: a denial is a [Decision].
const (
	ErrNegativeCost   Error = "stint: the cost is negative; a call costs 0 or more units"
	ErrEmptyKey       Error = "stint: the key is empty; name who is counted, or use one shared key on purpose"
	ErrClosed         Error = "stint: the store is closed"
	ErrClock          Error = "stint: the store's clock is outside the years 1970 to 2077; set the machine's clock"
	ErrFull           Error = "stint: the store is at its bound of keys; raise MaxKeys or choose another AtBound"
	ErrQueueFull      Error = "stint: too many callers wait for this key already"
	ErrDeadline       Error = "stint: the wait would outlast the context's deadline"
	ErrNever          Error = "stint: the cost is more than the limit can ever admit at once"
	ErrBlocked        Error = "stint: the key is blocked"
	ErrReceiptUsed    Error = "stint: the receipt was used before; a take is given back once"
	ErrReceiptForeign Error = "stint: the receipt belongs to another limit or store"
	ErrContention     Error = "stint: the key is changed by too many callers at once; try again"
	ErrNoLimit        Error = "stint: the limiter has no limit; give New at least one"
	ErrBatch          Error = "stint: a batch needs one place for a result for each call"
)

// LimitError says why a limit cannot be used.
type LimitError struct {
	ID     string // the limit's, if it has one
	Reason string
}

func (e *LimitError) Error() string {
	if e.ID == "" {
		return "stint: limit: " + e.Reason
	}
	return fmt.Sprintf("stint: limit %q: %s", e.ID, e.Reason)
}
