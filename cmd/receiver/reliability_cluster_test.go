//go:build e2e

package main_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"receiver/internal/cluster"
)

// enough callbacks before a fault, while it lasts, and after it.
const enoughAcked = 200

// quickTimeout keeps a receiver from waiting longer for NATS than a run has time for.
const quickTimeout = "limits:\n  publish_timeout: 2s\n"

// underFault is a cluster, a receiver on it, and a load that is under way.
func underFault(t *testing.T, o cluster.Options) (*natsCluster, *clusterLoad) {
	t.Helper()
	return underFaultWith(t, quickTimeout, o)
}

// underFaultWith goes on with more in the receiver's section nats, and after it.
func underFaultWith(t *testing.T, more string, o cluster.Options) (*natsCluster, *clusterLoad) {
	t.Helper()
	c := startCluster(t, o)
	l := pourAt(t, c.receiver(t, more))
	l.more(c, enoughAcked)
	return c, l
}

func TestReliabilityClusterLeaderKilled(t *testing.T) {
	c, l := underFault(t, cluster.Options{})
	leader := c.leader("JOBS")
	at := time.Now()
	leader.kill9()
	l.more(c, enoughAcked)
	leader.start()
	l.judge(c, "`kill -9` of the node that leads JOBS", l.silence(at))
}

func TestReliabilityClusterNodeDown(t *testing.T) {
	c, l := underFault(t, cluster.Options{})
	node := c.others(c.leader("JOBS"))[0]
	span := time.Minute
	if testing.Short() {
		span = 10 * time.Second
	}
	at := time.Now()
	node.stop()
	l.since(c, at.Add(span), http.StatusOK, "")
	l.more(c, enoughAcked)
	node.start()
	l.more(c, enoughAcked)
	l.judge(c, fmt.Sprintf("a node that does not lead JOBS down for %.0f s", span.Seconds()), l.silence(at))
}

func TestReliabilityClusterRollingRestart(t *testing.T) {
	c, l := underFault(t, cluster.Options{})
	at := time.Now()
	for _, n := range c.nodes {
		n.stop()
		n.start()
		c.ready()
		c.copied("JOBS")
		l.more(c, enoughAcked)
	}
	l.judge(c, "rolling restart of all three", l.silence(at))
}

func TestReliabilityClusterTwoNodesDown(t *testing.T) {
	c, l := underFault(t, cluster.Options{})
	down := c.others(c.leader("JOBS"))
	for _, n := range down {
		n.kill9()
	}
	refused := l.since(c, time.Now(), http.StatusServiceUnavailable, "")
	if seconds, err := strconv.Atoi(refused.retry); err != nil || seconds < 1 {
		t.Errorf("503 came with Retry-After %q, want a number of seconds", refused.retry)
	}
	at := time.Now()
	for _, n := range down {
		n.start()
	}
	recovery := l.recovery(c, at, "")
	l.more(c, enoughAcked)
	l.judge(c, "two nodes killed; since their start", recovery)
}

// TestReliabilityClusterReceiverCut cuts one of two receivers off the cluster. The other
// goes on, and what the first cannot store it answers 503.
func TestReliabilityClusterReceiverCut(t *testing.T) {
	c := startCluster(t, cluster.Options{})
	var behind []string
	for _, n := range c.nodes {
		behind = append(behind, n.Address())
	}
	way := newFront(t, behind...)
	cut, whole := c.receiver(t, quickTimeout, "tls://"+way.addr), c.receiver(t, quickTimeout)
	l := pourAt(t, cut, whole)
	l.more(c, enoughAcked)
	began := time.Now()
	way.setCut(true)
	l.since(c, began, http.StatusServiceUnavailable, l.urls[0])
	l.more(c, enoughAcked)
	at := time.Now()
	way.setCut(false)
	recovery := l.recovery(c, at, l.urls[0])
	l.more(c, enoughAcked)
	l.judge(c, "one of two receivers cut off the cluster; since the cut ended", recovery)
}

func TestReliabilityClusterSlowNode(t *testing.T) {
	c, l := underFault(t, cluster.Options{})
	leader := c.leader("JOBS")
	at := time.Now()
	leader.pause()
	l.more(c, enoughAcked)
	leader.cont()
	l.more(c, enoughAcked)
	l.judge(c, "the node that leads JOBS frozen by SIGSTOP, then let go on", l.silence(at))
}

// TestReliabilityClusterDiskFull fills the disk of one node, whatever it leads. Then space
// is made, and that node restarted.
func TestReliabilityClusterDiskFull(t *testing.T) {
	asRoot(t, "a disk of its own for one node, by mounting a tmpfs,")
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("a tmpfs for one node cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", small, err)
		}
	})
	folder := t.TempDir()
	c, l := underFaultWith(t, "  attempts_max_bytes: 4MiB\n"+quickTimeout, cluster.Options{Folder: folder, Store: func(n int) string {
		if n == 2 {
			return small
		}
		return filepath.Join(folder, strconv.Itoa(n))
	}})
	node := c.nodes[1]
	at := time.Now()
	filler := fillDisk(t, small)
	l.more(c, 5*enoughAcked)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	node.stop()
	node.start()
	l.more(c, enoughAcked)
	l.judge(c, "the disk of one node full, then space made and that node restarted", l.silence(at))
}

// fillDisk writes until nothing more goes onto the disk of a folder.
func fillDisk(t *testing.T, folder string) (file string) {
	t.Helper()
	f, err := os.Create(filepath.Join(folder, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range slices.Backward([]int{1 << 10, 1 << 20}) {
		for block := make([]byte, size); err == nil || !errors.Is(err, syscall.ENOSPC); {
			if _, err = f.Write(block); err != nil && !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		}
		err = nil
	}
	return f.Name()
}

// asRoot skips a test that the machine has no means for, and says which.
func asRoot(t *testing.T, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("%s takes root, and this is user %d", what, os.Geteuid())
	}
}
