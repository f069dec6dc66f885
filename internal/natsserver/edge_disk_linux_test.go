package natsserver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/edge"
)

// The disk of an edge is its bound: what the hub does not have is never dropped for it. A
// callback that finds no room is refused, to be called again, and what waits still goes to
// the hub, also when the server had to be started again meanwhile.
func TestAFullDiskOfAnEdge(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	e := natstest.EmbeddedEdge(natstest.SmallDisk(t, 32<<20), "rim-1", hub.Leaves())
	e.SyncAlways = true
	s, err := natsserver.Start(e)
	natstest.Must(t, err)
	defer s.Stop() // before its disk goes
	b, err := publish.Open(t.Context(), s, conn.Options{Timeout: 2 * time.Second, Streams: conn.Streams{Forwarded: true}})
	natstest.Must(t, err)
	defer func() { _ = b.Close(context.Background()) }()
	at, err := s.Hub()
	natstest.Must(t, err)
	store, err := s.StoreKey()
	natstest.Must(t, err)
	f, err := edge.New(t.Context(), edge.Options{
		Local: b.JetStream(), Folder: e.Folder, Name: "rim-1", Store: store, Hub: at, Domain: "hub", Uplink: s.Uplink,
	})
	natstest.Must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	defer running.Wait()
	defer cancel()
	hub.Stop()
	acknowledged := 0
	one := func(id string) error {
		e := natstest.Called(job.Finished, id, "COMPLETED")
		e.Data = append(e.Data, make([]byte, 20<<10)...)
		_, err := b.Publish(t.Context(), e)
		if err == nil {
			acknowledged++
		}
		return err
	}
	for i := range 50 {
		if err := one(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	look := natsserver.PauseChecks(s)
	file := natstest.Ballast(t, e.Folder, 10<<10)
	if err := one("full"); !errors.Is(err, conn.ErrUnavailable) {
		t.Errorf("Publish on a full disk = %v, want ErrUnavailable", err)
	}
	look()
	natstest.Eventually(t, "the full disk to be seen", func() bool { return s.Status().Err != nil })
	hub.Start()
	natstest.Eventually(t, "what waits to be at the hub", func() bool { return hub.Holds(conn.JobsStream, "jobs.demo.*.finished") == 50 })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "writing to go on", func() bool { return one("after") == nil })
	if err := one("full"); err != nil {
		t.Errorf("a callback that comes again = %v", err)
	}
	natstest.Eventually(t, "the hub to have everything", func() bool {
		l, err := f.Link(t.Context()) // which needs the edge's own connection
		return err == nil && l.Up && l.Streams[0].Behind == 0
	})
	if got := hub.Holds(conn.JobsStream, "jobs.demo.*.finished"); got != acknowledged {
		t.Errorf("the hub holds %d events of %d that were acknowledged", got, acknowledged)
	}
	if got := s.Status().Restarts; got != 1 {
		t.Errorf("the server was started again %d times, want 1: the test is to see that, too", got)
	}
}
