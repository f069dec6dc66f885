package natsserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

// A failed write is known by the error of the system call, whatever the server writes about it.
func TestAFailedWriteIsKnownByItsError(t *testing.T) {
	t.Parallel()
	of := func(errno error, op string, path ...string) error {
		return &fs.PathError{Op: op, Path: filepath.Join(append([]string{"/data/jetstream/RECEIVER/streams"}, path...)...), Err: errno}
	}
	for _, row := range []struct {
		name string
		err  error
		want bool
	}{
		{"no space", of(syscall.ENOSPC, "write", "JOBS", "msgs", "1.blk"), true},
		{"no quota", of(syscall.EDQUOT, "write", "ATTEMPTS", "msgs", "7.blk"), true},
		{"an fsync that failed", of(syscall.EIO, "sync", "JOBS", "msgs", "1.blk"), true},
		{"no file descriptor", of(syscall.EMFILE, "open", "JOBS", "msgs", "2.blk"), true},
		{"read only, wrapped", fmt.Errorf("storing: %w", of(syscall.EROFS, "open", "JOBS", "msgs", "2.blk.tmp")), true},
		{"a missing file", of(os.ErrNotExist, "open", "JOBS", "msgs", "2.blk"), false},
		{"a staged batch", of(syscall.ENOSPC, "write", "JOBS", "batches", "b1", "msgs", "1.blk"), false},
		{"a consumer", of(syscall.ENOSPC, "write", "JOBS", "obs", "sales", "o.dat"), false},
		{"a connection", &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}, false},
		{"words only", errors.New("critical write error: no space left on device"), false},
	} {
		for _, format := range []string{"JetStream stream %q: %v", "%q says something else: %v"} {
			l := &serverLog{log: zerolog.Nop()}
			l.Errorf(format, "JOBS", row.err)
			if got := l.failedWrite() != ""; got != row.want {
				t.Errorf("%s: a failed write is noted: %v, want %v", row.name, got, row.want)
			}
		}
	}
}
