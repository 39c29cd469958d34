package deny

import "github.com/stint-go/stint"

// ErrNoStore is the error of a wrapper around nothing.
const ErrNoStore stint.Error = "deny: there is no inner store; give New one"
