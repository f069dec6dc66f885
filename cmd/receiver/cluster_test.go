//go:build e2e

package main_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/cluster"
)

// TestStreamsGetThreeCopiesByCommand begins with one copy of each stream on a cluster with
// a domain, TLS and credentials. A receiver that is configured for three leaves them as
// they are and says so; `streams apply` makes them, while callbacks come in.
func TestStreamsGetThreeCopiesByCommand(t *testing.T) {
	c := startCluster(t, cluster.Options{Domain: "hub"})
	one := c.configured(t, "")
	one.write(t, "config.yaml", strings.Replace(one.read(t), "replicas: 3", "replicas: 1", 1))
	one.up(t)
	three := c.receiver(t, "")
	three.awaitLog(t, 0, `num_replicas.*"stream exists with other limits than configured; left as it is"`)
	if n := c.info("JOBS", func(*jetstream.StreamInfo) bool { return true }).Config.Replicas; n != 1 {
		t.Fatalf("JOBS has %d copies after serve, want the 1 that it began with", n)
	}
	if _, ok, err := newCaller(one.public).finished(t.Context(), "1"); !ok {
		t.Fatalf("a callback before the change was not answered 200: %v", err)
	}
	if code, text := three.command(t, "streams", "plan"); code != 0 || !strings.Contains(text, "num_replicas") {
		t.Errorf("streams plan = exit %d, want 0 and num_replicas in\n%s", code, text)
	}
	if code, text := three.command(t, "streams", "apply", "--yes"); code != 0 {
		t.Fatalf("streams apply = exit %d, want 0:\n%s", code, text)
	}
	for _, stream := range []string{"JOBS", "ATTEMPTS", "WATCH", "ACTIONS"} {
		c.copied(stream)
		if n := c.info(stream, func(*jetstream.StreamInfo) bool { return true }).Config.Replicas; n != 3 {
			t.Errorf("%s has %d copies after streams apply, want 3", stream, n)
		}
	}
	if _, ok, err := newCaller(three.public).finished(t.Context(), "2"); !ok {
		t.Errorf("a callback after the change was not answered 200: %v", err)
	}
	eachOnce(t, c.finished(), map[string]bool{"1": true, "2": true})
}
