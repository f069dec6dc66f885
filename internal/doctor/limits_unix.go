//go:build unix

package doctor

import (
	"fmt"
	"io/fs"
	"syscall"
)

// lent reports whether a file is root's and of the group that has the number of this process's
// user, such as the files of a Secret in a pod with fsGroup. In no other way can root lend a file
// to a process that may not change its mode.
func lent(info fs.FileInfo, user int) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && user != 0 && s.Uid == 0 && s.Gid == uint32(user)
}

// MaxFiles returns how many files this process may have open. Go raises the limit to what
// the system allows when a program starts.
func MaxFiles() (uint64, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("asking for the limit of open files: %w", err)
	}
	return uint64(r.Cur), nil //nolint:unconvert // it is signed on some systems
}
