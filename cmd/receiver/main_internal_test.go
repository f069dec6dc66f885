package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain puts a program named receiver into the path of the tests: this test binary,
// which under that name runs main and nothing else. So the tests drive the real program
// as processes of its own, under the race detector whenever the tests are.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"receiver": main})
}
