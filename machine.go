//go:build amd64 || arm64

package stint

import "unsafe"

// prefetch asks the processor for the cache line at p and does not wait for it.
//
//go:noescape
func prefetch(p unsafe.Pointer)

// prefetchAndRead is prefetch and readCounter in one call.
//
//go:noescape
func prefetchAndRead(p unsafe.Pointer) uint64

// readCounter reads the processor's counter of time. Unlike the system's clock it does not wait for loads under way.
func readCounter() uint64

// steadyCounter says whether the processor promises that the counter runs at one rate, whatever its cores do.
func steadyCounter() bool

// prefetchCells asks for the lines of a log that a take works on: the head, the oldest run, the newest and the cell behind it, as
// State.C of the strategies made of runs says where they are. Any numbers do no harm.
//
//go:noescape
func prefetchCells(log uintptr, c int64)
