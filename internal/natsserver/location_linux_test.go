package natsserver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
)

// A server that has stopped has no file of its store open.
func TestNothingIsHeldAfterStop(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	open := func() (all []string) {
		entries, err := os.ReadDir("/proc/self/fd")
		natstest.Must(t, err)
		for _, e := range entries {
			if path, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(path, folder) {
				all = append(all, path)
			}
		}
		return all
	}
	s, err := natsserver.Start(natstest.Embedded(folder))
	natstest.Must(t, err)
	store := natstest.Open(t, s)
	natstest.Store(t, store, natstest.Event(job.Finished, "1", "COMPLETED"))
	natstest.Eventually(t, "the newest block to be held", func() bool { return natsserver.Seen(s, "JOBS") })
	if len(open()) == 0 {
		t.Error("a store in use has no file open: this test looks at the wrong files")
	}
	natstest.Must(t, store.Close(t.Context()))
	s.Stop()
	if left := open(); len(left) != 0 {
		t.Errorf("after the stop, these are open: %q", left)
	}
}
