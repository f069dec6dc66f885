//go:build e2e

package main_test

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/cluster"
)

// natsCluster is a cluster of nats-server processes on loopback, with JetStream, TLS and
// accounts: what a receiver with nats.mode external is made for. A test that has one runs
// alone, since it is three servers, and has the build tag e2e.
//
//	c := startCluster(t, cluster.Options{})          // three nodes, up and agreed
//	r := c.receiver(t, "")                           // a receiver on it, streams of three copies
//	c.leader("JOBS").kill9()                         // or stop, pause and cont of any node
//	c.nodes[0].start(); c.ready()                    // again, on the same folder
//	c.copied("JOBS")                                 // every copy is up to date
//	c.Settings(3, c.URLs()...)                       // the section nats of config.yaml
//	c.jetstream()                                    // as a consumer with the same credentials
//	startClusterOf(t, o, program)                    // nodes that are run in another way
type natsCluster struct {
	*cluster.Cluster
	t     *testing.T
	nodes []*natsNode
	js    jetstream.JetStream
}

// natsNode is one server of a cluster, running or not.
type natsNode struct {
	cluster.Node
	*process // of its last start
	t        *testing.T
	program  []string // with its first arguments
}

// startCluster makes a cluster in a folder of its own, starts all its nodes, and returns when they
// have agreed on a leader of JetStream. Empty options are filled in.
func startCluster(t *testing.T, o cluster.Options) *natsCluster {
	t.Helper()
	return startClusterOf(t, o, func(int) []string { return []string{"nats-server"} })
}

// startClusterOf does so with the program, and its first arguments, that runs node n.
func startClusterOf(t *testing.T, o cluster.Options, program func(n int) []string) *natsCluster {
	t.Helper()
	if o.Folder == "" {
		o.Folder = t.TempDir()
	}
	made, err := cluster.Make(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &natsCluster{Cluster: made, t: t}
	for i, n := range made.Nodes {
		node := &natsNode{Node: n, t: t, program: program(i + 1)}
		c.nodes = append(c.nodes, node)
		node.start()
	}
	c.ready()
	return c
}

// start starts a node for the first time or again. It waits for nothing.
func (n *natsNode) start() {
	n.t.Helper()
	p, err := startProcess(".", environment(), n.program[0], append(slices.Clone(n.program[1:]), n.Args()...)...)
	if err != nil {
		n.t.Fatal(err)
	}
	n.process = p
	n.t.Cleanup(func() {
		p.kill()
		if n.t.Failed() {
			n.t.Logf("%s printed:\n%s", n.Name, tail(p.log.String()))
		}
	})
}

// kill9 ends a node with no chance to do anything.
func (n *natsNode) kill9() { n.ended(syscall.SIGKILL) }

// stop ends a node as an operator does: it hands over what it leads.
func (n *natsNode) stop() { n.ended(syscall.SIGTERM) }

func (n *natsNode) ended(s syscall.Signal) {
	n.t.Helper()
	if _, err := n.end(s); err != nil {
		n.t.Fatal(err)
	}
}

// pause freezes a node: its connections stay and nothing comes from it.
func (n *natsNode) pause() { n.signal(syscall.SIGSTOP) }

// cont lets a frozen node go on.
func (n *natsNode) cont() { n.signal(syscall.SIGCONT) }

func (n *natsNode) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// running reports whether the process of a node is there, frozen or not.
func (n *natsNode) running() bool {
	select {
	case <-n.done:
		return false
	default:
		return true
	}
}

// ready waits until every node that runs is healthy.
func (c *natsCluster) ready() {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.running() {
			c.until(n.Name+" is healthy", func(ctx context.Context) bool { return n.Healthy(ctx) || !n.running() })
		}
	}
}

// until asks again and again, and fails the test when that takes too long.
func (c *natsCluster) until(what string, done func(context.Context) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), longTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("waited %v in vain until %s", longTimeout, what)
		}
	}
}

// jetstream is a connection of the test's own, with the credentials of the receivers.
func (c *natsCluster) jetstream() jetstream.JetStream {
	c.t.Helper()
	if c.js != nil {
		return c.js
	}
	nc, err := nats.Connect("", func(o *nats.Options) error { o.Servers = c.URLs(); return nil },
		nats.UserCredentials(c.CredentialsFile), nats.RootCAs(c.CAFile), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.PingInterval(time.Second), nats.Timeout(5*time.Second))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(nc.Close)
	if c.js, err = jetstream.New(nc); err == nil && c.Domain != "" {
		c.js, err = jetstream.NewWithDomain(nc, c.Domain)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return c.js
}

// info requests the state of a stream until the stream has a leader and done reports true.
func (c *natsCluster) info(stream string, done func(*jetstream.StreamInfo) bool) *jetstream.StreamInfo {
	c.t.Helper()
	js := c.jetstream()
	var info *jetstream.StreamInfo
	c.until("stream "+stream+" is as it should be", func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return false
		}
		info = s.CachedInfo()
		return info.Cluster != nil && info.Cluster.Leader != "" && done(info)
	})
	return info
}

// leader returns the node that leads a stream.
func (c *natsCluster) leader(stream string) *natsNode {
	c.t.Helper()
	name := c.info(stream, func(*jetstream.StreamInfo) bool { return true }).Cluster.Leader
	i := slices.IndexFunc(c.nodes, func(n *natsNode) bool { return n.Name == name })
	if i < 0 {
		c.t.Fatalf("%q leads stream %s, which is none of the nodes", name, stream)
	}
	return c.nodes[i]
}

// others returns the nodes but this one.
func (c *natsCluster) others(n *natsNode) []*natsNode {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(o *natsNode) bool { return o == n })
}

// copied waits until every copy of a stream is there and up to date.
func (c *natsCluster) copied(stream string) {
	c.t.Helper()
	c.info(stream, func(i *jetstream.StreamInfo) bool {
		behind := slices.ContainsFunc(i.Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return p.Offline || !p.Current })
		return !behind && len(i.Cluster.Replicas) == i.Config.Replicas-1
	})
}

// finished counts the finished events of each job, by the leader's own index of JOBS: a
// consumer that is made while routes still settle may not be reached.
func (c *natsCluster) finished() map[string]int {
	c.t.Helper()
	js := c.jetstream()
	count := map[string]int{}
	c.until("JOBS can be counted", func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, "JOBS")
		if err != nil {
			return false
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter("jobs.demo.*.finished"))
		if err != nil {
			return false
		}
		for subject, n := range info.State.Subjects {
			count[strings.Split(subject, ".")[2]] = int(n)
		}
		return true
	})
	return count
}

// receiver runs a receiver on the cluster, with its streams on all nodes; more is added to
// its configuration. It connects to the URLs given, or to the nodes.
func (c *natsCluster) receiver(t *testing.T, more string, urls ...string) *replica {
	t.Helper()
	r := c.configured(t, more, urls...)
	r.up(t)
	return r
}

// configured is a receiver that has not been started.
func (c *natsCluster) configured(t *testing.T, more string, urls ...string) *replica {
	t.Helper()
	return c.configuredAt(t, "127.0.0.1", more, urls...)
}

// configuredAt is a replica whose public listener is at another address of the machine.
func (c *natsCluster) configuredAt(t *testing.T, host, more string, urls ...string) *replica {
	t.Helper()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	if len(urls) == 0 {
		urls = c.URLs()
	}
	p.host = host
	r := &replica{dir: t.TempDir(), public: "http://" + host + ":" + p.public, private: "http://127.0.0.1:" + p.private}
	if err := writeConfig(r.dir, p, c.Settings(len(c.nodes), urls...), more); err != nil {
		t.Fatal(err)
	}
	return r
}
