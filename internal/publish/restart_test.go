package publish_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// After a failed write a stream takes no more messages, whatever the cause was. The server is
// restarted until it works, and the status and the log are right meanwhile.
func TestFailedStoreIsRestartedUntilItWorks(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(t *testing.T, folder, address string, said *natstest.Logs) (mend func()){
		"nothing in the way": func(*testing.T, string, string, *natstest.Logs) func() { return func() {} },
		// The first restart fails for another reason, so that the port is free for a while.
		"port taken": func(t *testing.T, folder, address string, said *natstest.Logs) func() {
			open := cutMeta(t, folder)
			return func() {
				var taken net.Listener
				natstest.Eventually(t, "the port to be free", func() (ok bool) {
					ln, err := net.Listen("tcp", address)
					taken = ln
					return err == nil
				})
				open()
				natstest.Eventually(t, "the server to miss its port", func() bool { return strings.Contains(said.String(), "address already in use") })
				if got := said.String(); strings.Contains(got, "takes writes again") {
					t.Errorf("the log says that the store takes writes again:\n%s", got)
				}
				must(t, taken.Close())
			}
		},
		"a stream that is not opened": func(t *testing.T, folder, _ string, _ *natstest.Logs) func() { return cutMeta(t, folder) },
		"a folder that is a file": func(t *testing.T, folder, _ string, _ *natstest.Logs) func() {
			// The running server does not read the file again.
			path := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "meta.sum")
			must(t, os.Rename(path, path+".away"))
			must(t, os.Mkdir(path, 0o700))
			return func() { must(t, errors.Join(os.Remove(path), os.Rename(path+".away", path))) }
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			said := &natstest.Logs{}
			e := natstest.Embedded(folder)
			e.Address, e.Log = "127.0.0.1:0", said.Logger()
			s, err := natsserver.Start(e)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b, err := publish.Open(t.Context(), s, conn.Options{Timeout: 2 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close(context.Background()) })
			url := s.URL()
			mend := spoil(t, folder, strings.TrimPrefix(url, "nats://"), said)
			acknowledged := breakJobs(t, b, folder)
			if what != "nothing in the way" {
				natstest.Eventually(t, "a restart to fail", func() bool { return strings.Contains(said.String(), "restarting the store failed") })
				if room := s.Status(); room.State != natsserver.StateRestarting || room.Err == nil || room.Restarts != 0 {
					t.Errorf("Room = %+v, want that it is being started again", room)
				}
				if err := b.Ready(t.Context()); !errors.Is(err, conn.ErrUnavailable) {
					t.Errorf("Ready = %v, want ErrUnavailable", err)
				}
				if strings.Contains(said.String(), "takes writes again") {
					t.Errorf("the log says that the store takes writes again:\n%s", said.String())
				}
			}
			mend()
			natstest.Eventually(t, "the store to be well", func() bool { return s.Status().State == natsserver.StateOK && s.Status().Restarts == 1 })
			natstest.Eventually(t, "writing to go on", func() bool {
				_, err := b.Publish(t.Context(), natstest.Event(job.Finished, "after", "COMPLETED"))
				return err == nil && b.Ready(t.Context()) == nil
			})
			if got := natstest.Count(t, b, conn.JobsStream); got != acknowledged+1 {
				t.Errorf("JOBS holds %d events of %d that were acknowledged", got, acknowledged+1)
			}
			if s.URL() != url {
				t.Errorf("URL = %s, want %s as before", s.URL(), url)
			}
		})
	}
}

// cutMeta makes the server fail to open WATCH. The function that it returns undoes that.
func cutMeta(t *testing.T, folder string) (mend func()) {
	t.Helper()
	path := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "WATCH", "meta.inf")
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
	return func() { must(t, os.WriteFile(path, whole, 0o600)) }
}

// breakJobs publishes until JOBS needs a new block file, which cannot be created, and then removes
// the obstacle: the stream takes no message, although nothing is wrong any more.
func breakJobs(t *testing.T, b *publish.Store, folder string) (acknowledged int) {
	t.Helper()
	block := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "msgs", "2.blk")
	must(t, os.Mkdir(block, 0o700))
	for i := range 100 {
		e := natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED")
		e.Data = append(e.Data, make([]byte, 512<<10)...)
		if _, err := b.Publish(t.Context(), e); err != nil {
			must(t, os.RemoveAll(block))
			return acknowledged
		}
		acknowledged++
	}
	t.Fatal("JOBS needed no second block")
	return 0
}
