package natsserver_test

import (
	"bytes"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// Messages of the hub's own receivers and of foreign clients there must not come into the edge's
// streams, which have the same subjects, nor the other way around.
func TestOnlyTheForwarderCrossesTheLink(t *testing.T) {
	t.Parallel()
	hub, b := natstest.NewHub(t)
	e := natstest.EmbeddedEdge(t.TempDir(), "rim-1", hub.Leaves())
	s, err := natsserver.Start(e)
	natstest.Must(t, err)
	t.Cleanup(s.Stop)
	here := natstest.OpenWith(t, s, conn.Options{Streams: conn.Streams{Forwarded: true}})
	natstest.Eventually(t, "the leaf to be connected", func() bool { return hub.NATS.NumLeafNodes() == 1 })
	natstest.Store(t, b, natstest.Called(job.Finished, "hub", "COMPLETED"))
	natstest.Store(t, here, natstest.Called(job.Finished, "edge", "COMPLETED"))
	if n := natstest.Count(t, here, conn.JobsStream); n != 1 {
		t.Errorf("the edge holds %d events, want its own", n)
	}
	if n := hub.Holds(conn.JobsStream, ">"); n != 1 {
		t.Errorf("the hub holds %d events, want its own", n)
	}
	c := portRig{Server: s, Store: here, folder: e.Folder, creds: map[string][]byte{}}
	c.admit(t, "a")
	nc := c.connect(t, "a")
	for _, subject := range []string{
		"jobs.demo.forged.finished", "$JS.hub.API.STREAM.DELETE.JOBS", "$JS.hub.API.STREAM.INFO.JOBS", "$JS.hub.API.CONSUMER.MSG.NEXT.JOBS.a",
		"$JS.rim-1.API.STREAM.INFO.JOBS",
	} {
		if answer, err := nc.Request(subject, nil, 200*time.Millisecond); err == nil {
			t.Errorf("a consumer of the edge reaches %s: %s", subject, answer.Data)
		}
	}
	for _, subject := range []string{
		"$JS.rim-1.API.STREAM.DELETE.JOBS", "$JS.rim-1.API.STREAM.PURGE.JOBS", "$JS.rim-1.API.STREAM.MSG.DELETE.JOBS",
		"$JS.rim-1.API.CONSUMER.CREATE.JOBS", "$JS.rim-1.API.STREAM.LIST", "$JS.rim-1.API.STREAM.INFO.WATCH",
	} {
		hub.JetStream()
		if answer, err := hub.Conn.Request(subject, nil, 200*time.Millisecond); err == nil {
			t.Errorf("the hub reaches %s at the edge: %s", subject, answer.Data)
		}
	}
	answer, err := hub.Conn.Request("$JS.rim-1.API.STREAM.INFO.JOBS", nil, time.Second)
	if err != nil || !bytes.Contains(answer.Data, []byte(`"messages":1`)) {
		t.Errorf("the hub asks after the edge's JOBS: %v, %v, want that it holds one", answer, err)
	}
}
