package natsserver_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"

	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// The folder itself is locked, not a name in it.
func TestFolderStaysLockedWithoutItsLockFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	lock, address := filepath.Join(folder, "receiver.lock"), filepath.Join(folder, "receiver.address")
	e := natstest.Embedded(folder)
	e.Address = "127.0.0.1:0"
	s, err := natsserver.Start(e)
	natstest.Must(t, err)
	defer s.Stop()
	natstest.Open(t, s)
	look := natsserver.PauseChecks(s)
	natstest.Must(t, errors.Join(os.Remove(lock), os.Remove(address)))
	if second, err := natsserver.Start(natstest.Embedded(folder)); !errors.Is(err, storefolder.ErrInUse) {
		if err == nil {
			second.Stop()
		}
		t.Errorf("a second server after the lock file was removed = %v, want ErrInUse", err)
	}
	if copied, err := natsserver.Inspect(folder, zerolog.Nop()); !errors.Is(err, storefolder.ErrInUse) {
		if err == nil {
			copied.Stop()
		}
		t.Errorf("Inspect after the lock file was removed = %v, want ErrInUse", err)
	}
	look()
	// An older receiver locks the file alone, and other commands look for the address beside it.
	natstest.Eventually(t, "the lock file to be made again", func() bool {
		older := flock.New(lock, flock.SetFlag(os.O_RDONLY))
		defer older.Close()
		ok, err := older.TryLock()
		return err == nil && !ok
	})
	natstest.Eventually(t, "the server to be found again", func() bool {
		b, err := publish.Attach(t.Context(), folder, conn.Options{})
		return err == nil && b.Close(t.Context()) == nil
	})
	if got := s.Status(); got.State != natsserver.StateOK {
		t.Errorf("Room = %+v, want that all is well", got)
	}
}

// An older receiver that was quicker to lock a new lock file has the folder, too.
func TestFolderOfASecondReceiverIsReleased(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	lock := filepath.Join(folder, "receiver.lock")
	s := natstest.Start(t, folder)
	b := natstest.Open(t, s)
	look := natsserver.PauseChecks(s)
	natstest.Must(t, os.Remove(lock))
	older := flock.New(lock)
	if ok, err := older.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer older.Close()
	look()
	natstest.Eventually(t, "the folder to be given up", func() bool { return s.Status().State == natsserver.StateLost })
	if err := b.Ready(t.Context()); !errors.Is(err, storefolder.ErrInUse) {
		t.Errorf("Ready = %v, want ErrInUse", err)
	}

}
