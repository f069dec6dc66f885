package natstest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// SmallDisk is a file system of that many bytes of its own, in memory.
func SmallDisk(t *testing.T, size int64) string {
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

// Ballast is a file that takes all space but so many bytes.
func Ballast(t *testing.T, folder string, left int64) string {
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
