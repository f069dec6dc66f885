//go:build unix

package doctor

import (
	"fmt"
	"syscall"
)

// MaxFiles returns how many files this process may have open. Go raises the limit to what
// the system allows when a program starts.
func MaxFiles() (uint64, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("asking for the limit of open files: %w", err)
	}
	return uint64(r.Cur), nil //nolint:unconvert // it is signed on some systems
}
