package natsserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
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

// The course of a recovery after a kill is no warning; an index that is damaged is.
func TestTheServersWordsOnARecoveryAreLowered(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"Filestore [JOBS] Stream state outdated, last block has additional entries, will rebuild":                                 "debug",
		"Filestore [JOBS] Stream state outdated, found extra blocks, will rebuild":                                                "debug",
		"Filestore [OBJ_TILES] Stream state detected prior state, could not locate msg block 3":                                   "debug",
		"Filestore [JOBS] Stream state block does not exist or index mismatch":                                                    "debug",
		"Filestore [ACTIONS] Recovering stream state from index errored: prior state file":                                        "debug",
		"Filestore [JOBS] TTL state is outdated; attempting to recover using linear scan (seq 1 to 9)":                            "debug",
		"Filestore [JOBS] Message scheduling state is outdated; attempting to recover using linear scan (seq 1 to 9)":             "debug",
		"Filestore [JOBS] Stream state checksum did not match":                                                                    "warn",
		"Filestore [JOBS] Recovering stream state from index errored: corrupt state file":                                         "warn",
		"Filestore [JOBS] loadBlock error: broken":                                                                                "warn",
		"Filestore [x] Recovering stream state from index errored: prior state file, as a stranger's stream x] might be called y": "warn",
		"JetStream resource limits exceeded":                                                                                      "warn",
	} {
		var out bytes.Buffer
		(&serverLog{log: zerolog.New(&out)}).Warnf("%s", said)
		if !strings.Contains(out.String(), `"level":"`+want+`"`) {
			t.Errorf("%q is logged as %s, want %s", said, out.String(), want)
		}
	}
}
