//go:build !race

package stint

const raceDetector = false
