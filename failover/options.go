package failover

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// Choice is what calls on a limit get while the store is lost.
type Choice uint8

// The choices.
const (
	Closed Choice = iota // refuse
	Open                 // admit
	Local                // each instance enforces its share
)

var choices = [...]string{"closed", "open", "local"}

// String is the choice as policies write it.
func (c Choice) String() string {
	if int(c) < len(choices) {
		return choices[c]
	}
	return "unknown"
}

// Options are the options of a store that may be lost. The zero value is ready to use with a store given to New.
type Options struct {
	// Open opens the inner store when New is given none. It is called on a goroutine of the wrapper's, again every Retry until it
	// succeeds, and must return when its context ends. Conflicts with a store given to New.
	Open func(ctx context.Context) (stint.Store, error)

	// Timeout bounds each call of the inner store. Default: 25 ms, which suits Redis. Give an SQL store 250 ms.
	Timeout time.Duration

	// Choices says by limit ID what a limit's calls get while the store is lost; Default is for the limits that are not named.
	// Default: Closed. See also [Store.SetChoices].
	Choices map[string]Choice
	Default Choice

	// Instances is how many instances share the limits. Required where a choice is Local. See also [Store.SetInstances].
	Instances int

	// Grace is how long after the loss Open and Local are in force; then they refuse like Closed. Default: without end.
	Grace time.Duration

	// Failures in a row after which the store counts as lost. Default: 5.
	Failures int

	// Retry is the pause between two probes of a lost store, and between two tries to open it. Default: 500 ms.
	Retry time.Duration

	// Probes is how many probes in a row have to succeed before calls go to the store again. Default: 3.
	Probes int

	// MaxKeys bounds the keys that are counted by Local and whose units are still to be charged. A new key at the bound is refused
	// as by Closed. Default: 100,000.
	MaxKeys int64

	// OnChange is told that the store is lost, and by which failure, and that it is back; a store that is not there at the start is
	// lost. Always in turn, on the wrapper's goroutine, which it holds up. Default: nobody is told.
	OnChange func(lost bool, cause error)

	// Clock is the clock of the shares, for tests; see stint.MemoryOptions.
	Clock func() int64
}

const (
	defaultTimeout  = 25 * time.Millisecond
	defaultFailures = 5
	defaultRetry    = 500 * time.Millisecond
	defaultProbes   = 3
	defaultMaxKeys  = 100_000
)

func (o *Options) validate() error {
	if o.Timeout < 0 || o.Instances < 0 || o.Grace < 0 || o.Failures < 0 || o.Retry < 0 || o.Probes < 0 || o.MaxKeys < 0 {
		return fmt.Errorf("failover: options: a bound is negative (Timeout %v, Instances %d, Grace %v, Failures %d, Retry %v, Probes %d, MaxKeys %d)",
			o.Timeout, o.Instances, o.Grace, o.Failures, o.Retry, o.Probes, o.MaxKeys)
	}
	if err := o.check(o.Choices, o.Instances); err != nil {
		return err
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Failures == 0 {
		o.Failures = defaultFailures
	}
	if o.Retry == 0 {
		o.Retry = defaultRetry
	}
	if o.Probes == 0 {
		o.Probes = defaultProbes
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = defaultMaxKeys
	}
	return nil
}

// check says what is wrong with the choices of so many instances.
func (o *Options) check(chosen map[string]Choice, instances int) error {
	if o.Default > Local {
		return fmt.Errorf("failover: options: unknown choice %d by default", o.Default)
	}
	local := o.Default == Local
	for id, c := range chosen {
		if c > Local {
			return fmt.Errorf("failover: options: unknown choice %d for limit %q", c, id)
		}
		local = local || c == Local
	}
	if local && instances == 0 {
		return fmt.Errorf("failover: options: the choice local needs Instances, by which each knows its share")
	}
	return nil
}
