//go:build !amd64 && !arm64

package stint

// prefetchCells does nothing here.
func prefetchCells(uintptr, int64) {}
