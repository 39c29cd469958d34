package stint

import "context"

// An Observer is told of every decision, on the goroutine of the call and after it was made, so it must be quick and safe
// for concurrent use. It cannot change the decision. A limiter without observers pays nothing for them.
type Observer interface {
	// Decided is told of a decision on one key, with the error in its place if there was none to be had. For calls with several
	// claims it is told of each. d is only lent until Decided returns.
	Decided(ctx context.Context, key string, cost int64, d *Decision, err error)
}

// ObserverFunc is an Observer made of a function.
type ObserverFunc func(ctx context.Context, key string, cost int64, d *Decision, err error)

// Decided calls f.
func (f ObserverFunc) Decided(ctx context.Context, key string, cost int64, d *Decision, err error) {
	f(ctx, key, cost, d, err)
}
