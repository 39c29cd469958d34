//go:build !amd64 && !arm64

package stint

import "unsafe"

// prefetch does nothing here.
func prefetch(unsafe.Pointer) {}

// readCounter is not read here.
func readCounter() uint64 { return 0 }

func steadyCounter() bool { return false }
