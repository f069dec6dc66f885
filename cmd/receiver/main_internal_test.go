package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"receiver/internal/cluster"
	"receiver/internal/natstest"
)

// programs are put into the path of the tests by their names: this test binary, which under
// that name runs the func and nothing else. So the tests drive the real receiver as
// processes of its own, under the race detector whenever the tests are. nats-server is for
// the clusters of startCluster.
var programs = map[string]func(){
	"receiver":    main,
	"nats-server": func() { os.Exit(cluster.Main()) }, //nolint:forbidigo // it is main
}

func TestMain(m *testing.M) { testscript.Main(natstest.Tests{M: m, AtOnce: 6}, programs) }
