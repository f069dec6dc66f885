package local_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"receiver/internal/local"
)

func TestOneFolderLeadsToItsProcess(t *testing.T) {
	for name, folder := range map[string]string{"short": t.TempDir(), "longer than a socket's path": filepath.Join(t.TempDir(), strings.Repeat("x", 120))} {
		if name != "short" && runtime.GOOS != "linux" {
			continue
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := local.Dial(t.Context(), folder); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: Dial without a listener = %v, want fs.ErrNotExist", name, err)
		}
		first, err := local.Listen(folder)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(filepath.Join(folder, "receiver.sock"))
		if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
			t.Errorf("%s: the socket is %v, %v, want its owner's alone", name, info, err)
		}
		second, err := local.Listen(folder) // as after a kill
		if err != nil {
			t.Fatal(err)
		}
		said := make(chan error, 1)
		go func() {
			c, err := second.Accept()
			if err == nil {
				_, err = c.Write([]byte("second"))
			}
			said <- err
		}()
		c, err := local.Dial(t.Context(), folder)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 6)
		if _, err := c.Read(got); err != nil || string(got) != "second" {
			t.Errorf("%s: read %q, %v, want the newer listener's word", name, got, err)
		}
		if err := errors.Join(<-said, second.Close()); err != nil {
			t.Error(err)
		}
		_ = first.Close()
		if left, _ := os.ReadDir(folder); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	if _, err := local.Dial(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOENT) {
		t.Errorf("Dial into no folder = %v", err)
	}
}
