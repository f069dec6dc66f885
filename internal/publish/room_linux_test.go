package publish_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// smallDisk is a file system of that many bytes of its own, in memory.
func smallDisk(t *testing.T, size int64) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size)); err != nil {
		t.Skipf("needs the right to mount a file system (root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// ballast is a file that takes all space but so many bytes.
func ballast(t *testing.T, folder string, left int64) string {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(folder, &st); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "ballast")
	if err := os.WriteFile(path, make([]byte, max(0, int64(st.Bavail)*st.Bsize-left)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A disk that fills up is said before it hurts, and again there is room nothing has to be
// started anew; a disk that was filled to the last byte by others makes JetStream stop
// writing for good, and the server is started again inside the process.
func TestAFullDiskIsGotOver(t *testing.T) {
	for what, c := range map[string]struct {
		watched  bool // there is a moment to look before the next write
		restarts int
	}{"seen in time": {true, 0}, "not seen in time": {false, 1}} {
		t.Run(what, func(t *testing.T) {
			folder := smallDisk(t, 32<<20)
			s, err := publish.Start(publish.Embedded{Folder: folder, Address: "127.0.0.1:0", SyncAlways: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			b, err := s.Open(t.Context(), publish.Options{Timeout: time.Second})
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
				e := event(job.Finished, id, "COMPLETED")
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
			look := publish.LookAway(s)
			file := ballast(t, folder, 10<<10)
			if c.watched {
				look()
				eventually(t, "the full disk to be seen", func() bool { return s.Room().Full != nil })
			}
			began := time.Now()
			for i := range 10 {
				if err := publishOne(fmt.Sprint("full-", i)); !errors.Is(err, publish.ErrUnavailable) {
					t.Errorf("Publish on a full disk = %v, want ErrUnavailable", err)
				}
			}
			if c.watched && time.Since(began) > time.Second {
				t.Errorf("ten refusals took %v, want no waiting for the server", time.Since(began))
			}
			if !c.watched {
				look()
			}
			eventually(t, "the full disk to be seen", func() bool { return s.Room().Full != nil })
			if err := b.Ready(t.Context()); err == nil || !errors.Is(err, publish.ErrUnavailable) {
				t.Errorf("Ready on a full disk = %v, want why", err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			eventually(t, "writing to go on", func() bool { return publishOne("after") == nil })
			for i := range 10 {
				if err := publishOne(fmt.Sprint("full-", i)); err != nil {
					t.Errorf("a callback that comes again = %v", err)
				}
			}
			if got := s.Room(); got.Restarts != c.restarts || got.Full != nil {
				t.Errorf("Room = %+v, want %d restarts and nothing amiss", got, c.restarts)
			}
			if s.URL() != url {
				t.Errorf("URL = %s, want %s as before", s.URL(), url)
			}
			eventually(t, "the lease to be held again", func() bool { ours, err := lease.Hold(t.Context()); return ours && err == nil })
			if got := count(t, b, publish.JobsStream); got != len(acknowledged) {
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
