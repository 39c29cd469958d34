package batch

import (
	"fmt"

	"github.com/stint-go/stint"
)

// The errors of this package's own.
const (
	ErrNoStore stint.Error = "batch: there is no inner store; give New one"
	ErrFull    stint.Error = "batch: too many callers wait for the store already; raise MaxQueue or come back later"
)

// PanicError is what the callers of a call get in which the inner store panicked. Whether their units were charged is not known.
type PanicError struct {
	Value any    // what the store panicked with; nil if it ended the goroutine instead
	Stack []byte // where
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return "batch: the inner store ended the goroutine of the call"
	}
	return fmt.Sprintf("batch: the inner store panicked: %v", e.Value)
}

// Unwrap is the value of the panic if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
