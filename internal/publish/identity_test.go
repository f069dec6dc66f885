package publish_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// A new store is created if none is known; it never replaces a known one.
func TestStartNeverReplacesAKnownStore(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		move func(t *testing.T, e *natsserver.Embedded)
		want string // in the error; empty if the server starts
	}{
		{"nothing moved", func(*testing.T, *natsserver.Embedded) {}, ""},
		{"folder moved away", func(t *testing.T, e *natsserver.Embedded) { t.Helper(); rename(t, e.Folder, e.Folder+"-away") }, "is empty"},
		{"content moved away", func(t *testing.T, e *natsserver.Embedded) {
			t.Helper()
			rename(t, e.Folder, e.Folder+"-away")
			if err := os.Mkdir(e.Folder, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is empty"},
		{"another folder configured", func(t *testing.T, e *natsserver.Embedded) { t.Helper(); e.Folder = filepath.Join(t.TempDir(), "data") }, "is empty"},
		{"moved, and configured so", func(t *testing.T, e *natsserver.Embedded) {
			t.Helper()
			rename(t, e.Folder, e.Folder+"-new")
			e.Folder += "-new"
		}, ""},
		{"another store", func(t *testing.T, e *natsserver.Embedded) {
			t.Helper()
			e.Folder = t.TempDir()
			live(t, natstest.Embedded(e.Folder))
		}, "contains the store "},
		{"a copy restored elsewhere", func(t *testing.T, e *natsserver.Embedded) {
			t.Helper()
			to := t.TempDir()
			natstest.CopyFolder(t, e.Folder, to)
			e.Folder = to
		}, ""},
		{"identity removed", func(t *testing.T, e *natsserver.Embedded) {
			t.Helper()
			discard(t, filepath.Join(e.Folder, "receiver.id"))
		}, "contains no store with an identity"},
		{"the file outside removed", func(t *testing.T, e *natsserver.Embedded) { t.Helper(); discard(t, e.IdentityFile) }, ""},
		{"the file outside emptied", func(t *testing.T, e *natsserver.Embedded) { t.Helper(); natstest.WriteLater(t, e.IdentityFile, nil) }, ""},
		{"the file outside damaged", func(t *testing.T, e *natsserver.Embedded) {
			t.Helper()
			natstest.WriteLater(t, e.IdentityFile, []byte("{"))
		}, "does not name the known store"},
		{"the file outside cannot be written", func(t *testing.T, e *natsserver.Embedded) {
			t.Helper()
			e.IdentityFile = filepath.Join(t.TempDir(), "no", "such")
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			e := natstest.Embedded(filepath.Join(dir, "data"))
			e.IdentityFile = filepath.Join(dir, "checkpoints.store")
			live(t, e)
			known, err := os.ReadFile(e.IdentityFile)
			if err != nil {
				t.Fatal(err)
			}
			row.move(t, &e)
			s, err := natsserver.Start(e)
			if row.want == "" {
				if err != nil {
					t.Fatalf("Start = %v, want a server", err)
				}
				s.Stop()
				return
			}
			if err == nil {
				s.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), e.IdentityFile) {
				t.Fatalf("Start = %v, want %q and %s", err, row.want, e.IdentityFile)
			}
			if _, err := os.Stat(filepath.Join(e.Folder, "jetstream")); err == nil && row.want == "is empty" {
				t.Error("a store was begun all the same")
			}
			if !errors.Is(err, storefolder.ErrLost) {
				return
			}
			if now, err := os.ReadFile(e.IdentityFile); err != nil || string(now) != string(known) {
				t.Errorf("%s was changed to %s, %v", e.IdentityFile, now, err)
			}
			if done, err := storefolder.Mend(e.Store(), true, job.Action{What: job.ActionMend}); err != nil || len(done.Lost) != 1 {
				t.Fatalf("Mend with the word = %v, %v", done, err)
			}
			live(t, e)
			live(t, e)
		})
	}
}

// live starts and stops a store.
func live(t *testing.T, e natsserver.Embedded) {
	t.Helper()
	s, err := natsserver.Start(e)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	b, err := publish.Open(t.Context(), s, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func discard(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
