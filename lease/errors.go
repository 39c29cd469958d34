package lease

import "github.com/stint-go/stint"

// The errors of this package's own.
const (
	ErrNoStore   stint.Error = "lease: give New the store to take leases from"
	ErrCloseLate stint.Error = "lease: the store took too long to close; units may be left charged"
)
