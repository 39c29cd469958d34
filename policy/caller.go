package policy

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
)

// Caller is who makes a call, once a door has looked up the API key that it carries. It is read only.
type Caller struct {
	// User is the user's name, which the key "user" counts by.
	User string

	// Key names the API key; it is never the key itself. The key "api-key" counts by it.
	Key string

	// Plan is the user's plan; empty if there is none.
	Plan string

	// Scopes say what the API key may be used for.
	Scopes Scopes

	// Values are the values of limits that are this caller's own, by the limit's id, as [stint.ParseLimit] reads them. They come before
	// those of the plan. A text that cannot be a value of the limit has no effect: see [Limit.Check].
	Values map[string]string
}

// Scopes are the uses that an API key is good for.
type Scopes uint8

// The scopes.
const (
	ScopeRoutes Scopes = 1 << iota // calls of the policy's routes
	ScopeDecide                    // decisions over the API
	ScopeManage                    // blocks and resets over the API
)

// Has says whether all of the others are among the scopes.
func (s Scopes) Has(others Scopes) bool { return s&others == others }

// ErrInvalidKey says that an API key is malformed, unknown, expired or revoked: whoever sent it is told no more than that.
var ErrInvalidKey = errors.New("the API key is not valid")

// TriesError says that an address has tried too many keys that are not valid, and for how long no other is looked at.
type TriesError struct{ RetryAfter time.Duration }

func (e *TriesError) Error() string {
	return fmt.Sprintf("too many API keys that are not valid from this address; try again in %d seconds", stint.Seconds(e.RetryAfter))
}

// ValueFor is the limit's value for a caller: its own, or its plan's, or what all have; nil if it is unlimited. A nil caller has what
// all have.
func (l *Limit) ValueFor(c *Caller) *stint.Limit {
	if c == nil {
		return l.Value
	}
	return l.valueFor(c.Plan, c.Values)
}

func (l *Limit) valueFor(plan string, values map[string]string) *stint.Limit {
	if text, ok := values[l.ID]; ok {
		if own := l.own.get(l, text); own.err == nil {
			return own.value
		}
	}
	return l.For(plan)
}

// Own is the value that a text means for the limit, as one of some callers' own; nil if it is unlimited.
func (l *Limit) Own(text string) (*stint.Limit, error) {
	v := l.own.get(l, text)
	return v.value, v.err
}

// Check says why a text cannot be a value of the limit for some of its callers.
func (l *Limit) Check(text string) error {
	_, err := l.compileText(text)
	return err
}

// compileText makes a value of a text, with the strategy that the limit's plans have, too; nil if it is unlimited.
func (l *Limit) compileText(text string) (*stint.Limit, error) {
	value, err := stint.ParseLimit(text)
	if err != nil {
		return nil, err
	}
	value.ID, value.OnChange = l.ID, l.draft.OnChange
	if value.Strategy == nil {
		value.Strategy = l.inherited()
	}
	if value.Strategy != nil && value.Strategy.Name() == unlimited {
		return nil, nil
	}
	return value.Compile()
}

// ownValues are the values of a limit that some callers have for themselves, made ready once. Safe for concurrent use.
type ownValues struct {
	made  sync.Map // text → ownValue
	count atomic.Int64
}

type ownValue struct {
	value *stint.Limit
	err   error
}

// maxOwnValues bounds how many are kept; others are made anew at each call.
const maxOwnValues = 1 << 14

func (o *ownValues) get(l *Limit, text string) ownValue {
	if found, ok := o.made.Load(text); ok {
		return found.(ownValue)
	}
	var v ownValue
	v.value, v.err = l.compileText(text)
	if o.count.Add(1) > maxOwnValues {
		o.count.Add(-1)
		return v
	}
	found, twice := o.made.LoadOrStore(text, v)
	if twice {
		o.count.Add(-1)
	}
	return found.(ownValue)
}
