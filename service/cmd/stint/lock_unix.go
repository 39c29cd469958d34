//go:build unix

package main

import (
	"os"
	"syscall"
)

// tryLock locks a file for this process until it is closed; false if another process has it locked.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
