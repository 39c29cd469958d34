package stint

import "fmt"

// String is being written.
func (l Limit) String() string { return fmt.Sprintf("%d/%v", l.Units, l.Per) }

// ParseLimit is being written.
func ParseLimit(text string) (Limit, error) { return Limit{}, &LimitError{Reason: "not yet"} }

// ParseLimits is being written.
func ParseLimits(text string) ([]Limit, error) { return nil, &LimitError{Reason: "not yet"} }
