package natsserver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// A disk that fills up is reported before writes fail, and when space is free again no restart is
// necessary. A disk that another program filled to the last byte makes JetStream stop writing for
// good: the server is restarted inside the process.
func TestReceiverRecoversFromAFullDisk(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		watched  bool // there is a moment to look before the next write
		refusals int
		restarts int
	}{"seen in time": {true, 10, 0}, "not seen in time": {false, 2, 1}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			folder := natstest.SmallDisk(t, 32<<20)
			s, err := natsserver.Start(natsserver.Embedded{Folder: folder, Address: "127.0.0.1:0", SyncAlways: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			b, err := publish.Open(t.Context(), s, conn.Options{Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close(context.Background()) }()
			url := s.URL()
			lease, err := b.Lease(t.Context(), "work")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lease.Hold(t.Context()); err != nil {
				t.Fatal(err)
			}
			acknowledged := map[string]bool{}
			publishOne := func(id string) error {
				e := natstest.Event(job.Finished, id, "COMPLETED")
				e.Data = append(e.Data, make([]byte, 20<<10)...)
				_, err := b.Publish(t.Context(), e)
				if err == nil {
					acknowledged[id] = true
				}
				return err
			}
			for i := range 20 {
				if err := publishOne(fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
			look := natsserver.PauseChecks(s)
			file := natstest.Ballast(t, folder, 10<<10)
			if c.watched {
				look()
				natstest.Eventually(t, "the full disk to be seen", func() bool { return s.Status().Err != nil })
			}
			began := time.Now()
			for i := range c.refusals {
				if err := publishOne(fmt.Sprint("full-", i)); !errors.Is(err, conn.ErrUnavailable) {
					t.Errorf("Publish on a full disk = %v, want ErrUnavailable", err)
				}
			}
			if c.watched && time.Since(began) > 10*time.Second {
				t.Errorf("ten refusals took %v, want no waiting for the server", time.Since(began))
			}
			if !c.watched {
				look()
			}
			natstest.Eventually(t, "the full disk to be seen", func() bool { return s.Status().Err != nil })
			if err := b.Ready(t.Context()); err == nil || !errors.Is(err, conn.ErrUnavailable) {
				t.Errorf("Ready on a full disk = %v, want why", err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			natstest.Eventually(t, "writing to go on", func() bool { return publishOne("after") == nil })
			for i := range c.refusals {
				if err := publishOne(fmt.Sprint("full-", i)); err != nil {
					t.Errorf("a callback that comes again = %v", err)
				}
			}
			if got := s.Status(); got.Restarts != c.restarts || got.Err != nil {
				t.Errorf("Room = %+v, want %d restarts and nothing amiss", got, c.restarts)
			}
			if s.URL() != url {
				t.Errorf("URL = %s, want %s as before", s.URL(), url)
			}
			natstest.Eventually(t, "the lease to be held again", func() bool { ours, err := lease.Hold(t.Context()); return ours && err == nil })
			if got := natstest.Count(t, b, conn.JobsStream); got != len(acknowledged) {
				t.Errorf("JOBS holds %d events of %d that were acknowledged", got, len(acknowledged))
			}
			for id := range acknowledged {
				events, err := b.Job(t.Context(), "demo", id)
				if err != nil || len(events) != 1 {
					t.Errorf("job %s has %d events, %v, want 1", id, len(events), err)
				}
			}
		})
	}
}
