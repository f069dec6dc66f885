//go:build race

package main_test

// raceDetector is true when the tests, and the receiver that they run, look for races.
const raceDetector = true
