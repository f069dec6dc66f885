package natstest

import (
	"flag"
	"runtime/debug"
	"strconv"
	"testing"
)

// Tests are those of a package that mostly waits for servers and processes: AtOnce of those marked
// Parallel run at once, however few processors there are. -parallel still sets another number.
type Tests struct {
	*testing.M
	AtOnce int
}

// Run runs the tests.
func (t Tests) Run() int {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(t.AtOnce)); err != nil {
			panic(err)
		}
	}
	debug.SetGCPercent(400) // servers that live for a second leave much behind; collecting it was a fifth of the work
	return t.M.Run()
}
