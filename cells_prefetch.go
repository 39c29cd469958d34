//go:build amd64 || arm64

package stint

// prefetchCells asks the processor for the lines of a log that a take works on, and does not wait for them: the head, the oldest
// run, the newest and the cell behind it, as State.C of the strategies made of runs says where they are. Any numbers do no harm.
//
//go:noescape
func prefetchCells(log uintptr, c int64)
