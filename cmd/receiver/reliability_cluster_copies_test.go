//go:build e2e

package main_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/cluster"
)

// TestReliabilityClusterMoreCopies begins with one copy of each stream on a cluster with a
// domain, TLS and credentials. A receiver that is configured for three leaves them as they
// are and says so; `streams apply` makes them, while callbacks come in.
func TestReliabilityClusterMoreCopies(t *testing.T) {
	c := startCluster(t, cluster.Options{Domain: "hub"})
	one := c.configured(t, "")
	one.write(t, "config.yaml", strings.Replace(one.read(t), "replicas: 3", "replicas: 1", 1))
	one.up(t)
	three := c.receiver(t, "")
	three.awaitLog(t, 0, `num_replicas.*"the stream has other limits than configured; the receiver does not change them"`)
	if n := c.info("JOBS", func(*jetstream.StreamInfo) bool { return true }).Config.Replicas; n != 1 {
		t.Fatalf("JOBS has %d copies after serve, want the 1 that it began with", n)
	}
	l := pourAt(t, one, three)
	l.more(c, enoughAcked)
	if code, text := three.command(t, "streams", "plan"); code != 0 || !strings.Contains(text, "num_replicas") {
		t.Errorf("streams plan = exit %d, want 0 and num_replicas in\n%s", code, text)
	}
	at := time.Now()
	if code, text := three.command(t, "streams", "apply", "--yes"); code != 0 {
		t.Fatalf("streams apply = exit %d, want 0:\n%s", code, text)
	}
	for _, stream := range []string{"JOBS", "ATTEMPTS", "WATCH", "SUBMISSIONS", "REPLAYS", "ACTIONS"} {
		c.copied(stream)
		if n := c.info(stream, func(*jetstream.StreamInfo) bool { return true }).Config.Replicas; n != 3 {
			t.Errorf("%s has %d copies after streams apply, want 3", stream, n)
		}
	}
	l.more(c, enoughAcked)
	l.judge(c, "`streams apply` from one copy of each stream to three", l.silence(at))
}
