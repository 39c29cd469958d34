package record

import (
	"context"
	"fmt"
	"sync"

	"github.com/stint-go/stint"
)

// Registry remembers the values that limits have had, so that a store asks for each of them once. A limit's values are registered
// before the first record is written under them.
//
// The zero Registry with its two functions set is ready to use. It is safe for concurrent use.
type Registry struct {
	// Save keeps the values of a limit in the store under its ID and variant. It is called again for values that are there.
	Save func(ctx context.Context, limitID string, variant uint64, values string) error

	// Load finds values; "" if the store has none.
	Load func(ctx context.Context, limitID string, variant uint64) (string, error)

	mu    sync.RWMutex
	known map[name]*stint.Limit
}

type name struct {
	id      string
	variant uint64
}

// maxKnown bounds what is remembered; past it everything is asked for again.
const maxKnown = 1 << 14

// Register keeps the limit's values in the store unless it is known that they are there. Every call of a store begins with it.
func (r *Registry) Register(ctx context.Context, l *stint.Limit) error {
	if r.Known(l.ID, l.Variant()) != nil {
		return nil
	}
	if err := r.Save(ctx, l.ID, l.Variant(), l.Values()); err != nil {
		return err
	}
	r.remember(name{l.ID, l.Variant()}, l)
	return nil
}

// Earlier is for [Record.Step]: it knows, or asks for, the values of a variant.
func (r *Registry) Earlier(ctx context.Context) Earlier {
	return func(l *stint.Limit, variant uint64) (*stint.Limit, error) {
		if known := r.Known(l.ID, variant); known != nil {
			return known, nil
		}
		values, err := r.Load(ctx, l.ID, variant)
		if err != nil {
			return nil, err
		}
		return r.Learn(l, variant, values)
	}
}

// Known is the limit under values that are remembered, compiled; nil if they are not.
func (r *Registry) Known(limitID string, variant uint64) *stint.Limit {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.known[name{limitID, variant}]
}

// Learn remembers values of the limit that the store has found, and returns the limit under them; "" says that it has none.
func (r *Registry) Learn(l *stint.Limit, variant uint64, values string) (*stint.Limit, error) {
	if values == "" {
		return nil, fmt.Errorf("stint: limit %q: a record was written under values (variant %x) that the store does not have: %w", l.ID, variant, ErrDamaged)
	}
	earlier, err := l.WithValues(values)
	if err == nil {
		r.remember(name{l.ID, variant}, earlier)
	}
	return earlier, err
}

func (r *Registry) remember(n name, l *stint.Limit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxKnown {
		r.known = make(map[name]*stint.Limit)
	}
	r.known[n] = l
}
