package lease

import "github.com/stint-go/stint"

// The errors of this package's own.
const (
	ErrNoStore   stint.Error = "lease: give New the store to take leases from"
	ErrNoBlocks  stint.Error = "lease: SetBlocks needs a store that was made with Options.Blocks"
	ErrCloseLate stint.Error = "lease: the store took too long to close; units may be left charged"
)
