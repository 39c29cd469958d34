//go:build !amd64 && !arm64

package stint

import "unsafe"

// prefetch does nothing here.
func prefetch(unsafe.Pointer) {}

func prefetchAndRead(unsafe.Pointer) uint64 { return 0 }

// prefetchCells does nothing here.
func prefetchCells(uintptr, int64) {}

// readCounter is nothing here.
func readCounter() uint64 { return 0 }

func steadyCounter() bool { return false }
