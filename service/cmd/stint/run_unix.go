//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// become puts the command in this program's place, so that signals, terminal and exit code are the command's without anything to pass
// on. It returns only if that failed.
func become(path string, command []string, _ *terminal) error {
	err := syscall.Exec(path, command, os.Environ())
	return &exitError{exitCannot, fmt.Errorf("%s cannot be started: %w", path, err)}
}
