package failover

import (
	"errors"
	"slices"

	"github.com/stint-go/stint"
)

// The errors of this package's own.
const (
	// ErrLost is wrapped around the store's last error.
	ErrLost    stint.Error = "failover: the store is lost, and this cannot be done without it; try again later"
	ErrNoStore stint.Error = "failover: give New a store or Options.Open, one of them"
	errAbsent  stint.Error = "failover: the store was not opened yet"
)

// verdicts are errors that a healthy store gives.
var verdicts = []error{
	stint.ErrNegativeCost, stint.ErrEmptyKey, stint.ErrReceiptUsed, stint.ErrReceiptForeign, stint.ErrFull, stint.ErrContention,
}

// answered says whether the store has spoken, if only to say no.
func answered(err error) bool {
	var limit *stint.LimitError
	return err == nil || errors.As(err, &limit) || slices.ContainsFunc(verdicts, func(v error) bool { return errors.Is(err, v) })
}
