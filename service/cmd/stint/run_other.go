//go:build !unix

package main

import (
	"errors"
	"fmt"
	"os/exec"
)

// become runs the command and ends with its exit code. Ctrl-C goes to both; this program then waits for the command to end.
func become(path string, command []string, t *terminal) error {
	c := &exec.Cmd{Path: path, Args: command, Stdin: t.in, Stdout: t.out, Stderr: t.err}
	err := c.Run()
	if exited, ok := errors.AsType[*exec.ExitError](err); ok {
		return &exitError{exited.ExitCode(), nil}
	}
	if err != nil {
		return &exitError{exitCannot, fmt.Errorf("%s cannot be started: %w", path, err)}
	}
	return nil
}
