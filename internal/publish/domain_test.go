package publish_test

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// JetStream runs on both sides of a leaf node. The domain alone says that the streams are at the
// hub.
func TestDomainIsReachedThroughALeaf(t *testing.T) {
	t.Parallel()
	hub := natstest.NewServerWith(t, server.Options{
		JetStreamDomain: "hub", LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT},
	})
	remote := &url.URL{Scheme: "nats-leaf", Host: net.JoinHostPort("127.0.0.1", fmt.Sprint(hub.Options.LeafNode.Port))}
	leaf := natstest.NewServerWith(t, server.Options{
		JetStreamDomain: "rim", LeafNode: server.LeafNodeOpts{Remotes: []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}}}},
	})
	natstest.Eventually(t, "the leaf to be connected", func() bool { return leaf.NATS.NumLeafNodes() == 1 })
	b := natstest.Dial(t, leaf.External(), conn.Options{Domain: "hub"})

	first := natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	// At once, so that there are batches, and one of them is refused for its duplicate.
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			got, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(1+i), "COMPLETED"))
			if err != nil || got.Existed != (i == 0) {
				t.Errorf("Publish of job %d = existed %v, %v", 1+i, got.Existed, err)
			}
		})
	}
	wg.Wait()
	if got, err := b.Job(t.Context(), "demo", "1"); err != nil || len(got) != 1 || got[0].Sequence != first.Sequence {
		t.Errorf("Job = %d events, %v, want the one", len(got), err)
	}
	large := natstest.Event(job.Finished, "large", "COMPLETED")
	large.Data = append(large.Data, strings.Repeat(" ", 2<<20)...)
	natstest.Store(t, b, large)
	if got, err := b.Job(t.Context(), "demo", "large"); err != nil || len(got) != 1 || len(got[0].Data) != len(large.Data) {
		t.Errorf("Job = %d events, %v, want the one with its body from the object store", len(got), err)
	}
	lease, err := b.Lease(t.Context(), "domain")
	if err != nil {
		t.Fatal(err)
	}
	if held, err := lease.Hold(t.Context()); err != nil || !held {
		t.Errorf("Hold = %v, %v, want the lease", held, err)
	}
	if _, err := leaf.JetStream().Stream(t.Context(), conn.JobsStream); err == nil {
		t.Error("the leaf has a stream JOBS of its own")
	}
	if info, err := hub.JetStream().Stream(t.Context(), conn.JobsStream); err != nil || info.CachedInfo().State.Msgs != 65 {
		t.Errorf("the hub's JOBS: %v, want 65 messages", err)
	}
}

func TestWrongDomainIsNamed(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	_, err := publish.Dial(t.Context(), s.External(), conn.Options{Domain: "nowhere", Timeout: time.Second})
	if err == nil || !strings.Contains(err.Error(), "in the JetStream domain nowhere") {
		t.Errorf("Dial = %v, want an error that names the domain", err)
	}
}
