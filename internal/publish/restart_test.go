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
	"receiver/internal/publish"
)

// A stream takes nothing more after a write that failed, whatever it failed for. The server is
// started again until that goes well, and what is said meanwhile is so.
func TestAStoreThatFailedIsStartedAgainUntilThatGoesWell(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(t *testing.T, folder, address string, said *logs) (mend func()){
		"nothing in the way": func(*testing.T, string, string, *logs) func() { return func() {} },
		// The first restart fails for another reason, so that the port is free for a while.
		"port taken": func(t *testing.T, folder, address string, said *logs) func() {
			open := cutMeta(t, folder)
			return func() {
				var taken net.Listener
				eventually(t, "the port to be free", func() (ok bool) {
					ln, err := net.Listen("tcp", address)
					taken = ln
					return err == nil
				})
				open()
				eventually(t, "the server to miss its port", func() bool { return strings.Contains(said.String(), "address already in use") })
				if got := said.String(); strings.Contains(got, "takes writes again") {
					t.Errorf("the log says that the store takes writes again:\n%s", got)
				}
				must(t, taken.Close())
			}
		},
		"a stream that is not opened": func(t *testing.T, folder, _ string, _ *logs) func() { return cutMeta(t, folder) },
		"a folder that is a file": func(t *testing.T, folder, _ string, _ *logs) func() {
			// As one that cannot be read: the server that runs never asks for it again.
			path := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "meta.sum")
			must(t, os.Rename(path, path+".away"))
			must(t, os.Mkdir(path, 0o700))
			return func() { must(t, errors.Join(os.Remove(path), os.Rename(path+".away", path))) }
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			said := &logs{}
			e := embedded(folder)
			e.Address, e.Log = "127.0.0.1:0", said.logger()
			s, err := publish.Start(e)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b, err := s.Open(t.Context(), publish.Options{Timeout: 2 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close(context.Background()) })
			url := s.URL()
			mend := spoil(t, folder, strings.TrimPrefix(url, "nats://"), said)
			acknowledged := breakJobs(t, b, folder)
			if what != "nothing in the way" {
				eventually(t, "a restart to fail", func() bool { return strings.Contains(said.String(), "could not be started again") })
				if room := s.Room(); room.State != publish.StateRestarting || room.Full == nil || room.Restarts != 0 {
					t.Errorf("Room = %+v, want that it is being started again", room)
				}
				if err := b.Ready(t.Context()); !errors.Is(err, publish.ErrUnavailable) {
					t.Errorf("Ready = %v, want ErrUnavailable", err)
				}
				if strings.Contains(said.String(), "takes writes again") {
					t.Errorf("the log says that the store takes writes again:\n%s", said.String())
				}
			}
			mend()
			eventually(t, "the store to be well", func() bool { return s.Room().State == publish.StateOK && s.Room().Restarts == 1 })
			eventually(t, "writing to go on", func() bool {
				_, err := b.Publish(t.Context(), event(job.Finished, "after", "COMPLETED"))
				return err == nil && b.Ready(t.Context()) == nil
			})
			if got := count(t, b, publish.JobsStream); got != acknowledged+1 {
				t.Errorf("JOBS holds %d events of %d that were acknowledged", got, acknowledged+1)
			}
			if s.URL() != url {
				t.Errorf("URL = %s, want %s as before", s.URL(), url)
			}
		})
	}
}

// cutMeta has the server not open WATCH, until the function that it returns is called.
func cutMeta(t *testing.T, folder string) (mend func()) {
	t.Helper()
	path := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "WATCH", "meta.inf")
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
	return func() { must(t, os.WriteFile(path, whole, 0o600)) }
}

// breakJobs publishes until JOBS needs a new block, which cannot be made, and takes away what
// kept it from being made: nothing explains any more why the stream takes nothing.
func breakJobs(t *testing.T, b *publish.Bus, folder string) (acknowledged int) {
	t.Helper()
	block := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "msgs", "2.blk")
	must(t, os.Mkdir(block, 0o700))
	for i := range 100 {
		e := event(job.Finished, fmt.Sprint(i), "COMPLETED")
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
