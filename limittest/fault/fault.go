package fault

import (
	"context"
	"time"

	"github.com/stint-go/stint"
)

// Fault is what happens to one call. The zero value is a call that goes well.
type Fault struct {
	// Gate holds the call up until it is closed. If the context ends before, the call fails with its error and nothing happened.
	Gate <-chan struct{}

	// Delay comes after the gate, and is cut short by the context in the same way.
	Delay time.Duration

	// Panic, if it is not nil, is what the call panics with, before anything happened.
	Panic any

	// Hang waits for the end of the context and fails with its error; nothing happened.
	Hang bool

	// Error fails the call; nothing happened.
	Error error

	// Mute answers nothing, without an error: what the caller has for the answers stays as it was, and nothing happened.
	Mute bool

	// Garble changes the answers of a call that took effect: one for each claim. Refund and Block have none to change.
	Garble func([]stint.Outcome)

	// Late holds up the answer of a call that took effect until it is closed. If the context ends before, the call fails with its
	// error.
	Late <-chan struct{}

	// After fails the call although it took effect.
	After error

	// Lost hangs like Hang, but the call took effect: a timeout after sending.
	Lost bool
}

// before is what happens ahead of the call's effect.
func (f *Fault) before(ctx context.Context) error {
	if err := wait(ctx, f.Gate); err != nil {
		return err
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.Panic != nil {
		panic(f.Panic)
	}
	if f.Hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.Error
}

// after is what happens once the call took effect.
func (f *Fault) after(ctx context.Context) error {
	if err := wait(ctx, f.Late); err != nil {
		return err
	}
	if f.Lost {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.After
}

// wait waits until the gate is closed, if there is one.
func wait(ctx context.Context, gate <-chan struct{}) error {
	if gate == nil {
		return nil
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
