package publish_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// staged is a server whose batches are staged in memory.
type staged struct {
	*natsserver.Server
	*publish.Store
	folder string
	link   string // to the staging memory
	cache  string
}

func startStaged(t *testing.T, folder string) *staged {
	t.Helper()
	s := &staged{folder: folder, link: filepath.Join(folder, "jetstream", "RECEIVER", "streams", conn.JobsStream, "batches")}
	s.start(t)
	var err error
	if s.cache, err = os.Readlink(s.link); err != nil {
		t.Skipf("needs a file system in memory on /dev/shm: %v", err)
	}
	t.Cleanup(func() {
		s.stop()
		_ = os.RemoveAll(s.cache)
	})
	return s
}

func (s *staged) start(t *testing.T) {
	t.Helper()
	var err error
	if s.Server, err = natsserver.Start(natsserver.Embedded{Folder: s.folder, SyncAlways: true, Log: zerolog.Nop()}); err != nil {
		t.Fatal(err)
	}
	if s.Store, err = publish.Open(t.Context(), s.Server, conn.Options{}); err != nil {
		t.Fatal(err)
	}
}

func (s *staged) stop() {
	if s.Server != nil {
		_ = s.Close(context.Background())
		s.Stop()
		s.Server = nil
	}
}

// storeMany stores events of many jobs at once, and returns how many batches that made.
func (s *staged) storeMany(t *testing.T, name string) (batches int) {
	t.Helper()
	const jobs = 200
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() {
			got, err := s.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(name, i), "COMPLETED"))
			if err != nil || got.Existed {
				t.Errorf("job %s%d: existed=%v, %v, want it stored", name, i, got.Existed, err)
			}
		})
	}
	wg.Wait()
	stored := 0
	for m, err := range s.Messages(t.Context(), publish.Watch{Stream: conn.JobsStream}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(m.Subject, "jobs.demo."+name) {
			stored++
			batches += len(m.Header["Nats-Batch-Commit"])
		}
	}
	if stored != jobs {
		t.Errorf("%d events of %s are stored, want %d", stored, name, jobs)
	}
	return batches
}

func TestBatchesAreStagedInMemory(t *testing.T) {
	t.Parallel()
	s := startStaged(t, t.TempDir())
	if s.storeMany(t, "a") == 0 {
		t.Error("nothing was gathered")
	}
	s.stop()
	for _, path := range []string{s.link, s.cache} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after the end %s is left: %v", path, err)
		}
	}
	// As after a power failure, and as after a kill.
	for _, left := range []bool{false, true} {
		remains := filepath.Join(s.cache, "batch")
		if left {
			if err := os.MkdirAll(remains, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(s.cache, s.link); err != nil {
			t.Fatal(err)
		}
		s.start(t)
		if _, err := os.Lstat(remains); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what a killed process left is there for ever: %v", err)
		}
		if s.storeMany(t, fmt.Sprint("memory", left)) == 0 {
			t.Error("nothing was gathered after a crash")
		}
		s.stop()
	}
}

func TestUnusableStagingMemoryLosesNoEvent(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(t *testing.T, cache string){
		"cleared": func(t *testing.T, cache string) {
			if err := os.RemoveAll(cache); err != nil {
				t.Fatal(err)
			}
		},
		"full": func(t *testing.T, cache string) {
			if err := syscall.Mount("tmpfs", cache, "tmpfs", 0, "size=8k,mode=700"); err != nil {
				t.Skipf("needs the right to mount a file system (root): %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(cache, syscall.MNT_DETACH) })
		},
		"somebody else's": func(t *testing.T, cache string) {
			if err := os.Chmod(cache, 0o755); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := startStaged(t, t.TempDir())
			spoil(t, s.cache)
			if n := s.storeMany(t, "b"); n > 0 && what == "full" {
				t.Errorf("%d batches were staged where there is no room", n)
			}
			if err := s.Ready(t.Context()); err != nil {
				t.Errorf("Ready = %v", err)
			}
			switch what {
			case "cleared":
				natstest.Eventually(t, "that the folder is there again", func() bool { _, err := os.Stat(s.cache); return err == nil })
			case "somebody else's":
				natstest.Eventually(t, "that it is used no more", func() bool { _, err := os.Readlink(s.link); return err != nil })
			}
			s.storeMany(t, "c")
		})
	}
}

// A copy of a folder contains the link to the staging memory of the original.
func TestCopyOfAFolderStagesElsewhere(t *testing.T) {
	t.Parallel()
	original := startStaged(t, t.TempDir())
	original.storeMany(t, "a")
	folder := t.TempDir()
	copied := filepath.Join(folder, "jetstream", "RECEIVER", "streams", conn.JobsStream)
	if err := os.MkdirAll(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(original.cache, filepath.Join(copied, "batches")); err != nil {
		t.Fatal(err)
	}
	another := startStaged(t, folder)
	if another.cache == original.cache {
		t.Fatalf("both stage in %s", another.cache)
	}
	another.storeMany(t, "b")
	another.stop()
	if _, err := os.Stat(original.cache); err != nil {
		t.Errorf("the memory of the original is gone: %v", err)
	}
	if original.storeMany(t, "c") == 0 {
		t.Error("the original gathers no more")
	}
}
