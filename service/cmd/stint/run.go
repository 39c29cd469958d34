package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/stint-go/stint"
)

type runCommand struct {
	leaf
	runArguments `positional-args:"yes"`
	Limit        []string      `long:"limit" value-name:"LIMIT" required:"yes" description:"A limit, such as \"100/hour\", \"10/s burst 20\" or \"5/1m30s interval-bucket\". Given again, all must admit, or none is charged."`
	Key          string        `long:"key" value-name:"KEY" required:"yes" description:"Who is counted: any text, such as the command's name."`
	Cost         int64         `long:"cost" value-name:"N" default:"1" description:"How many units the command costs; 1 unless said."`
	Timeout      time.Duration `long:"timeout" value-name:"DURATION" description:"How long to wait for the turn. No bound unless said."`

	counting
}

// runArguments are what stands without a flag.
type runArguments struct {
	Command []string `positional-arg-name:"COMMAND" description:"The command and its arguments, after --."`
}

// What the help says above and below the flags.
const (
	runAbout = `The command takes this program's place: it has its terminal, its signals and its exit code. Where there is no command to say it, the exit code is 124 if the turn did not come in time, 125 for an error of stint's own, 126 if the command cannot be started, and 127 if it is not found.`

	runExamples = `Examples:

    stint run --limit 5/min --key mail -- sendmail -t < letter

    stint run --limit "1/10s pacing" --key deploy --timeout 5m -- make deploy

    find . -name '*.jpg' | xargs -P 8 -I {} stint run --limit 20/s --key upload -- upload {}`
)

// The exit codes of run that are not the command's, those that env, timeout and nohup have, too.
const (
	exitLate     = 124
	exitOwn      = 125
	exitCannot   = 126
	exitNotFound = 127
)

// exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }

// Run waits for the turn, and lets the command take this program's place.
func (c *runCommand) Run(ctx context.Context, t *terminal) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return &exitError{exitOwn, errors.New("there is no command: stint run --limit 5/min --key mail -- COMMAND ARGS…")}
	}
	// What cannot be started takes nothing.
	path, err := exec.LookPath(command[0])
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return &exitError{exitNotFound, fmt.Errorf("%s is not found; check its name and PATH", command[0])}
	case err != nil:
		return &exitError{exitCannot, err}
	}
	if err := c.wait(ctx); err != nil {
		return err
	}
	return become(path, command, t)
}

// wait waits for the turn.
func (c *runCommand) wait(ctx context.Context) error {
	limits, err := parseLimits("--limit", c.Limit, c.Strategy)
	if err != nil {
		return &exitError{exitOwn, err}
	}
	limiter, end, err := c.limiter(ctx, limits)
	if err != nil {
		return &exitError{exitOwn, err}
	}
	granted, d, err := waitTurn(ctx, limiter, c.Key, c.Cost, c.Timeout)
	if err = errors.Join(err, end()); err != nil {
		return &exitError{exitOwn, fmt.Errorf("the command was not started: %w", oneLine(err))}
	}
	if granted {
		return nil
	}
	if d.RetryAfter == stint.Never {
		return &exitError{exitOwn, fmt.Errorf("the command was not started: a cost of %d is more than %s can ever admit", c.Cost, d.By)}
	}
	after := "later"
	if seconds, known := d.RetrySeconds(); known {
		after = fmt.Sprintf("in %d s", seconds)
	}
	return &exitError{exitLate, fmt.Errorf("the command was not started: its turn did not come within %v; try again %s", c.Timeout, after)}
}
