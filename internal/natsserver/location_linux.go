package natsserver

import (
	"os"
	"strconv"
	"syscall"
)

// hold opens a block.
func hold(path string) (*os.File, error) { return os.Open(path) }

// replaced reports whether a block that is held is no longer at its path, although the server still
// has it open: it would write to it. If the server itself replaces a block, it closes the old one.
func replaced(block *os.File) bool {
	was, err := block.Stat()
	if err != nil || !moved(block.Name(), was) {
		return false
	}
	wanted, ok := was.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return false
	}
	own := int(block.Fd())
	for _, e := range entries {
		var is syscall.Stat_t
		fd, err := strconv.Atoi(e.Name())
		if err == nil && fd != own && syscall.Fstat(fd, &is) == nil && is.Dev == wanted.Dev && is.Ino == wanted.Ino {
			return true
		}
	}
	return false
}
