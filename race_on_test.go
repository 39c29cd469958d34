//go:build race

package stint

// The race detector makes everything ten times slower, and sync.Pool forgetful: tests do less, and count no allocations.
const raceDetector = true
