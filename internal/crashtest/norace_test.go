//go:build !race

package crashtest

// raceDetector reports whether the program is built with one.
const raceDetector = false
