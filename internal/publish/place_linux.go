package publish

import (
	"os"
	"strconv"
	"syscall"
)

// stillOpen reports whether this process has a file open.
func stillOpen(file os.FileInfo) bool {
	was, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return false
	}
	for _, e := range entries {
		var is syscall.Stat_t
		fd, err := strconv.Atoi(e.Name())
		if err == nil && syscall.Fstat(fd, &is) == nil && is.Dev == was.Dev && is.Ino == was.Ino {
			return true
		}
	}
	return false
}
