package publish_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"

	"receiver/internal/publish"
)

// What keeps others out is the folder that is used, not a name in it.
func TestAFolderIsLockedWhateverBecomesOfItsLockFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	lock, address := filepath.Join(folder, "receiver.lock"), filepath.Join(folder, "receiver.address")
	e := embedded(folder)
	e.Address = "127.0.0.1:0"
	s, err := publish.Start(e)
	must(t, err)
	defer s.Stop()
	open(t, s)
	look := publish.LookAway(s)
	must(t, errors.Join(os.Remove(lock), os.Remove(address)))
	if second, err := publish.Start(embedded(folder)); !errors.Is(err, publish.ErrInUse) {
		if err == nil {
			second.Stop()
		}
		t.Errorf("a second server after the lock file was removed = %v, want ErrInUse", err)
	}
	if copied, err := publish.Inspect(folder, zerolog.Nop()); !errors.Is(err, publish.ErrInUse) {
		if err == nil {
			copied.Stop()
		}
		t.Errorf("Inspect after the lock file was removed = %v, want ErrInUse", err)
	}
	look()
	// An older receiver locks the file alone, and other commands look for the address beside it.
	eventually(t, "the lock file to be made again", func() bool {
		older := flock.New(lock, flock.SetFlag(os.O_RDONLY))
		defer older.Close()
		ok, err := older.TryLock()
		return err == nil && !ok
	})
	eventually(t, "the server to be found again", func() bool {
		b, err := publish.Attach(t.Context(), folder, publish.Options{})
		return err == nil && b.Close(t.Context()) == nil
	})
	if got := s.Room(); got.State != publish.StateOK {
		t.Errorf("Room = %+v, want that all is well", got)
	}
}

// An older receiver that was quicker to lock a new lock file has the folder, too.
func TestAFolderThatAnotherOneHasTooIsGivenUp(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	lock := filepath.Join(folder, "receiver.lock")
	s := start(t, folder)
	b := open(t, s)
	look := publish.LookAway(s)
	must(t, os.Remove(lock))
	older := flock.New(lock)
	if ok, err := older.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer older.Close()
	look()
	eventually(t, "the folder to be given up", func() bool { return s.Room().State == publish.StateLost })
	if err := b.Ready(t.Context()); !errors.Is(err, publish.ErrInUse) {
		t.Errorf("Ready = %v, want ErrInUse", err)
	}

}
