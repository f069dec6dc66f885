package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"receiver/internal/cluster"
)

// TestMain puts a program named receiver into the path of the tests: this test binary,
// which under that name runs main and nothing else. So the tests drive the real program
// as processes of its own, under the race detector whenever the tests are. nats-server
// is such a one too, for the clusters of startCluster.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"receiver":    main,
		"nats-server": func() { os.Exit(cluster.Main()) }, //nolint:forbidigo // it is main
	})
}
