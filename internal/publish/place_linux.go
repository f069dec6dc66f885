package publish

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// stillOpen reports whether this process has a file of a stream open that is not at its path
// any more. Another file of the store can have the same inode by now, as when the server
// itself replaced the file: that one is at a path of its own.
func stillOpen(path string, file os.FileInfo) bool {
	was, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	streams, err := filepath.EvalSymlinks(filepath.Join(path, "..", "..", ".."))
	if err != nil {
		return false
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return false
	}
	for _, e := range entries {
		var is syscall.Stat_t
		fd, err := strconv.Atoi(e.Name())
		if err != nil || syscall.Fstat(fd, &is) != nil || is.Dev != was.Dev || is.Ino != was.Ino {
			continue
		}
		at, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		_, deleted := strings.CutSuffix(at, " (deleted)")
		if err == nil && (deleted || !strings.HasPrefix(at, streams+string(filepath.Separator))) {
			return true
		}
	}
	return false
}
