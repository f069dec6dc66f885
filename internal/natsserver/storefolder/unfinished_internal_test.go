package storefolder

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/publish/conn"
)

// A killed process leaves the files that it had not renamed yet. The next process removes them, but
// not those that another process may be writing.
func TestUnfinishedFilesAreRemoved(t *testing.T) {
	folder := t.TempDir()
	msgs := Messages(folder, conn.JobsStream).Path
	if err := os.MkdirAll(msgs, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Minute)
	for name, want := range map[string]bool{
		filepath.Join(folder, ".new-1"): false, filepath.Join(msgs, ".new-2"): false, filepath.Join(msgs, "1.blk"): true, filepath.Join(folder, ".new-3"): true,
	} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) != ".new-3" {
			if err := os.Chtimes(name, old, old); err != nil {
				t.Fatal(err)
			}
		}
		defer func() {
			if exists(name) != want {
				t.Errorf("%s is there: %v, want %v", name, !want, want)
			}
		}()
	}
	l, err := Acquire(t.Context(), folder, 0, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
}
