//go:build !amd64 && !arm64

package stint

import "unsafe"

// prefetch does nothing here.
func prefetch(unsafe.Pointer) {}
