//go:build e2e

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"receiver/internal/cluster"
)

// A silently cut link is another fault than a closed connection: no end gets a report, and nothing
// is answered.

// apart is a cluster each of whose nodes is a host of a network, with room for receivers.
type apart struct {
	*natsCluster
	lan *lan
	at  []*host // node n at n
}

func startApart(t *testing.T, receivers int) apart {
	t.Helper()
	l := newLAN(t, 3+receivers)
	c := startClusterOf(t, cluster.Options{Host: func(n int) string { return l.hosts[n-1].addr }},
		func(n int) []string { return l.hosts[n-1].inside("nats-server") })
	return apart{natsCluster: c, lan: l, at: l.hosts[:3]}
}

// receiverAt runs receiver n, counted from 0, at the host that is left for it.
func (a apart) receiverAt(n int) (*replica, *host) {
	a.t.Helper()
	at := a.lan.hosts[3+n]
	r := a.configuredAt(a.t, at.addr, quickTimeout)
	r.program = at.inside("receiver")
	r.up(a.t)
	return r, at
}

func TestReliabilityClusterReceiverSilent(t *testing.T) {
	c := startApart(t, 2)
	cut, at := c.receiverAt(0)
	whole, _ := c.receiverAt(1)
	l := pourAt(t, cut, whole)
	l.more(c.natsCluster, enoughAcked)
	began, logged := time.Now(), cut.logged()
	mend := c.lan.cut(at, c.at...)
	first := l.since(c.natsCluster, began, http.StatusServiceUnavailable, l.urls[0])
	t.Logf("first 503 after %.1f s, with Retry-After %s", first.at.Sub(began).Seconds(), first.retry)
	cut.awaitLog(t, logged, "the connection to NATS is lost")
	t.Logf("noticed after %.1f s", time.Since(began).Seconds())
	l.more(c.natsCluster, enoughAcked)
	over := time.Now()
	mend()
	recovery := l.recovery(c.natsCluster, over, l.urls[0])
	l.more(c.natsCluster, enoughAcked)
	l.judge(c.natsCluster, "packets between one of two receivers and the cluster dropped; since they pass again", recovery)
}

// TestReliabilityClusterNodeSilent drops all packets of the node that leads JOBS and that
// the only receiver is connected to, of which the others are in favour again later.
func TestReliabilityClusterNodeSilent(t *testing.T) {
	c := startApart(t, 1)
	r, at := c.receiverAt(0)
	l := pourAt(t, r)
	l.more(c.natsCluster, enoughAcked)
	i := slices.IndexFunc(c.nodes, func(n *natsNode) bool { return n.hasClient(at.addr) })
	if i < 0 {
		t.Fatal("the receiver is connected to none of the nodes")
	}
	c.lead("JOBS", c.nodes[i])
	l.more(c.natsCluster, enoughAcked)
	began, logged := time.Now(), r.logged()
	mend := c.lan.cut(c.at[i], append(slices.DeleteFunc(slices.Clone(c.at), func(h *host) bool { return h == c.at[i] }), at, c.lan.test)...)
	r.awaitLog(t, logged, "the connection to NATS is lost")
	t.Logf("noticed after %.1f s", time.Since(began).Seconds())
	l.more(c.natsCluster, enoughAcked)
	mend()
	l.more(c.natsCluster, enoughAcked)
	l.judge(c.natsCluster, "packets of the node that leads JOBS, and has the receiver's connection, dropped", l.silence(began))
}

// hasClient reports whether a receiver at an address is connected to a node.
func (n *natsNode) hasClient(addr string) bool {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.Monitor+"/connz", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		Connections []struct{ IP string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		n.t.Fatal(err)
	}
	return slices.ContainsFunc(got.Connections, func(c struct{ IP string }) bool { return c.IP == addr })
}

// lead has a node lead a stream.
func (c *natsCluster) lead(stream string, n *natsNode) {
	c.t.Helper()
	c.copied(stream)
	c.until(fmt.Sprintf("%s leads %s", n.Name, stream), func(ctx context.Context) bool {
		if c.leader(stream) == n {
			return true
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, _ = c.jetstream().Conn().RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream,
			fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, n.Name)) // the next check shows whether it has
		return false
	})
}

// TestReliabilityClusterNodeSlow has every packet of one node take a tenth of a second
// longer, each way: of the node that leads JOBS, and then of one that neither leads nor has
// the receiver's connection.
func TestReliabilityClusterNodeSlow(t *testing.T) {
	const few = enoughAcked / 2
	c := startApart(t, 1)
	r, at := c.receiverAt(0)
	l := pourAt(t, r)
	l.more(c.natsCluster, enoughAcked)
	first := time.Now()
	for _, slow := range []func(leader *natsNode) *natsNode{
		func(leader *natsNode) *natsNode { return leader },
		func(leader *natsNode) *natsNode {
			return slices.DeleteFunc(c.others(leader), func(n *natsNode) bool { return n.hasClient(at.addr) })[0]
		},
	} {
		node := slow(c.leader("JOBS"))
		began := time.Now()
		mend := c.lan.slow(c.at[slices.Index(c.nodes, node)], 100*time.Millisecond)
		l.more(c.natsCluster, few)
		t.Logf("%d callbacks in %.1f s while %s is slow", few, time.Since(began).Seconds(), node.Name)
		mend()
		l.more(c.natsCluster, enoughAcked)
	}
	l.judge(c.natsCluster, "packets of the node that leads JOBS held up for 100 ms each way, then those of another", l.silence(first))
}
