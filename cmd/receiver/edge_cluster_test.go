//go:build e2e

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"receiver/internal/cluster"
)

// TestReliabilityEdgeOfACluster has the hub that an operator would have: three servers with TLS and
// credentials, streams of three copies, and a receiver of its own. Callbacks go to the edge and,
// every third, to the hub's receiver too. The edge forwards its waiting records while the leader of
// JOBS is killed.
func TestReliabilityEdgeOfACluster(t *testing.T) {
	c := startCluster(t, cluster.Options{Domain: "hub"})
	h := &edgeHub{t: t, js: c.jetstream()}
	leaves := make([]string, 0, len(c.nodes))
	for _, n := range c.nodes {
		leaves = append(leaves, n.takeLeaves(t))
		n.stop()
		n.start()
		c.ready()
	}
	own := c.receiver(t, "")
	h.leaves, h.settings = strings.Join(leaves, ","), fmt.Sprintf("  credentials_file: %q\n  tls:\n    ca_file: %q\n", c.CredentialsFile, c.CAFile)
	e := h.edge("rim-1")
	l := pourAtBoth(t, newCaller(e.public), newCaller(own.public))
	l.more(200)
	e.line.setCut(true)
	e.awaitLog(t, 0, `"the link to the hub is down`)
	l.more(500)
	leader := c.leader("JOBS")
	e.line.setCut(false)
	leader.kill9()
	l.more(500)
	leader.start()
	c.ready()
	c.copied("JOBS")
	l.stop()
	e.drained()
	c.copied("ATTEMPTS")
	f := h.judge(l)
	fmt.Fprintf(t.Output(), "| an edge of a cluster of three, every third callback to a receiver there too; `kill -9` of the leader of JOBS while the edge forwards "+
		"what waited | `%s` | %d | %d | %d | %d | %d | 0 | %.1f s |\n", t.Name(), f.jobs, f.acknowledged, f.stored, f.doubled, f.lost, f.took.Seconds())
}

// takeLeaves makes a node take leaf nodes when it is started again, and returns where.
func (n *natsNode) takeLeaves(t *testing.T) string {
	t.Helper()
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(n.ConfigFile)
	text, err := os.ReadFile(n.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	text = fmt.Appendf(text, "\nleafnodes { listen: \"127.0.0.1:%d\", no_advertise: true, tls { cert_file: %q, key_file: %q, timeout: 5 } }\n",
		port, filepath.Join(folder, "node.pem"), filepath.Join(folder, "node.key"))
	if err := os.WriteFile(n.ConfigFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", port)
}
