package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

type takeCommand struct {
	leaf
	takeArguments `positional-args:"yes" required:"yes"`
	Limit         []string      `long:"limit" value-name:"LIMIT" required:"yes" description:"A limit, such as \"100/hour\", \"10/s burst 20\" or \"5/1m30s interval-bucket\". Given again, all must admit, or none is charged."`
	Cost          int64         `long:"cost" value-name:"N" default:"1" description:"How many units to take; 1 unless said, 0 only looks."`
	Wait          bool          `long:"wait" description:"Wait until it is admitted, in turn."`
	Timeout       time.Duration `long:"timeout" value-name:"DURATION" description:"How long --wait may wait; then it is refused. No bound unless said."`
	JSON          bool          `long:"json" description:"Say how it went as one JSON object on the standard output."`

	counting
}

// takeArguments are what stands without a flag.
type takeArguments struct {
	Key string `positional-arg-name:"KEY" description:"Who is counted: any text, such as a name or an address." required:"yes"`
}

// What the help says above and below the flags.
const (
	takeAbout = `Exits with 0 if it was admitted, with 1 if it was refused, with 2 if there was an error. When it is refused the standard output says in how many seconds to come back, or "never".`

	takeExamples = `Examples, for scripts that run at any time, any number at once:

    stint take backup --limit 1/day && ./backup.sh

    if wait=$(stint take mail:$USER --limit "5/min; 50/day"); then send; else echo "again in $wait s"; fi

    stint take api.example.com --limit 10/s --wait && curl https://api.example.com/

    stint take tenant-7 --limit 1000/hour --cost 25 --json --store redis://limits.example.com`
)

// Run takes, and says how it went.
func (c *takeCommand) Run(ctx context.Context, t *terminal) error {
	limits, err := parseLimits("--limit", c.Limit, c.Strategy)
	if err != nil {
		return err
	}
	if c.Timeout != 0 && !c.Wait {
		return errors.New("--timeout is how long --wait may wait: give --wait, too")
	}
	var last lastDecision
	limiter, end, err := c.limiter(ctx, limits, &last)
	if err != nil {
		return err
	}
	if c.Wait {
		_, _, err = waitTurn(ctx, limiter, c.Key, c.Cost, c.Timeout)
	} else {
		_, err = limiter.Take(ctx, c.Key, c.Cost)
	}
	if err = errors.Join(err, end()); err != nil {
		return oneLine(err)
	}
	return c.report(t, &last.Decision)
}

// report says how it went.
func (c *takeCommand) report(t *terminal, d *stint.Decision) error {
	seconds, known := d.RetrySeconds()
	if c.JSON {
		out := taken{Allowed: d.Allowed, Reason: d.Reason.String(), Key: c.Key, Cost: c.Cost, Limit: d.Limit, Remaining: d.Remaining, ResetAfter: stint.Seconds(d.ResetAfter)}
		if d.By != nil {
			out.By = d.By.ID
		}
		if known {
			out.RetryAfter = &seconds
		}
		if err := json.NewEncoder(t.out).Encode(out); err != nil {
			return err
		}
	}
	if d.Allowed {
		return nil
	}
	if !c.JSON {
		var err error
		switch {
		case known:
			_, err = fmt.Fprintln(t.out, seconds)
		case d.RetryAfter == stint.Never:
			_, err = fmt.Fprintln(t.out, "never")
		default:
			_, err = fmt.Fprintln(t.out, "unknown")
		}
		if err != nil {
			return err
		}
	}
	return errNo
}

// taken is what --json prints. Times are in seconds, rounded up; there is no time to come back after an admission and after "never".
type taken struct {
	Allowed    bool   `json:"allowed"`
	Reason     string `json:"reason"`
	Key        string `json:"key"`
	Cost       int64  `json:"cost"`
	By         string `json:"by"` // the limit that decided
	Limit      int64  `json:"limit"`
	Remaining  int64  `json:"remaining"`
	RetryAfter *int64 `json:"retry_after"`
	ResetAfter int64  `json:"reset_after"`
}

// lastDecision is that of the last call, also of one that has waited.
type lastDecision struct{ stint.Decision }

// Decided implements [stint.Observer].
func (l *lastDecision) Decided(_ context.Context, _ string, _ int64, d *stint.Decision, _ error) {
	l.Decision = *d
}
