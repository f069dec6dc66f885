package publish_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// The damaged sequences would make the server count until its memory is full. The damaged lengths
// would make it drop every message behind them.
func TestStartRefusesDangerousDamage(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		change  func(file []byte, second int) []byte
		refused bool
		left    int // messages, after Mend if Start refused
	}{
		{"sequence, by billions", flip(8), true, 2},
		{"sequence of the last", func(b []byte, second int) []byte { return flip(8)(b, second+recordLength(b[second:])) }, true, 2},
		{"length", flip(0), true, 2},
		{"length of the subject", flip(20), true, 2},
		{"a header", flip(80), true, 2},
		{"the first", func(b []byte, _ int) []byte { b[30] ^= 1; return b }, true, 2},
		{"rubbish between two", func(b []byte, second int) []byte {
			return bytes.Join([][]byte{b[:second], []byte(strings.Repeat("rubbish", 9)), b[second:]}, nil)
		}, true, 3},
		{"cut short, as a crash does", func(b []byte, second int) []byte { return b[:second+100] }, false, 1},
		{"zeros at the end, as a crash does", func(b []byte, _ int) []byte { return append(b, make([]byte, 4096)...) }, false, 3},
		{"nothing", func(b []byte, _ int) []byte { return b }, false, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			folder, jobs, _ := stored(t)
			whole, err := os.ReadFile(jobs)
			if err != nil {
				t.Fatal(err)
			}
			changed := row.change(bytes.Clone(whole), recordLength(whole))
			natstest.WriteLater(t, jobs, changed)
			natstest.ForgetStop(t, folder) // otherwise the loss of the end is reported
			s, err := natsserver.Start(natstest.Embedded(folder))
			if row.refused {
				if !errors.Is(err, storefolder.ErrDamaged) || !strings.Contains(err.Error(), jobs) || !strings.Contains(err.Error(), "receiver streams mend") {
					t.Fatalf("Start = %v, want ErrDamaged with the file and what to do", err)
				}
				done, err := storefolder.Mend(natstest.Embedded(folder).Store(), false, job.Action{What: job.ActionMend})
				damage, kept := done.LeftOut, done.Kept
				if err != nil || len(damage) != 1 || !strings.HasPrefix(damage[0], jobs+", bytes ") {
					t.Fatalf("Mend = %q, %v, want one place in %s", damage, err, jobs)
				}
				if aside, err := os.ReadFile(filepath.Join(kept, "JOBS-1.blk")); err != nil || !bytes.Equal(aside, changed) {
					t.Errorf("Mend kept %d bytes, %v, want the %d as they were", len(aside), err, len(changed))
				}
				s, err = natsserver.Start(natstest.Embedded(folder))
				if err != nil {
					t.Fatalf("Start after Mend = %v", err)
				}
			} else if err != nil {
				t.Fatalf("Start = %v, want a server", err)
			}
			defer s.Stop()
			if got := natstest.ExtentOf(t, natstest.OpenWith(t, s, conn.Options{ReadOnly: true}), conn.JobsStream); got.Messages != uint64(row.left) {
				t.Errorf("%d messages are there, want %d", got.Messages, row.left)
			}
		})
	}
}

// Files that were intact at the last clean stop are not read again, however large they are.
func TestStartChecksOnlyChangedFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, err := natsserver.Start(natstest.Embedded(folder))
	if err != nil {
		t.Fatal(err)
	}
	b := natstest.OpenWith(t, s, conn.Options{})
	for i := range 3 {
		natstest.Store(t, b, natstest.Sized(job.Finished, fmt.Sprint(i), 16<<10))
	}
	s.Stop()
	jobs := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "msgs", "1.blk")
	file, err := os.ReadFile(jobs)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(jobs)
	if err != nil {
		t.Fatal(err)
	}
	file[24<<10] ^= 1 // in a body, with which a server starts
	natstest.WriteLater(t, jobs, file)
	if err := os.Chtimes(jobs, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	s, err = natsserver.Start(natstest.Embedded(folder))
	if err != nil {
		t.Fatalf("Start on a file older than the last clean stop = %v, want a server", err)
	}
	s.Stop()
	natstest.ForgetStop(t, folder)
	if _, err := natsserver.Start(natstest.Embedded(folder)); !errors.Is(err, storefolder.ErrDamaged) {
		t.Errorf("Start after a crash = %v, want ErrDamaged", err)
	}
}

// The time of the last stop is in the future, by a clock that was ahead. A file that is changed
// afterwards is checked all the same.
func TestClockAheadAtTheStopHidesNoDamage(t *testing.T) {
	t.Parallel()
	folder, jobs, _ := stored(t)
	ahead := time.Now().Add(24 * time.Hour)
	if err := os.Chtimes(filepath.Join(folder, "receiver.stopped"), ahead, ahead); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(jobs)
	if err != nil {
		t.Fatal(err)
	}
	natstest.WriteLater(t, jobs, flip(8)(bytes.Clone(whole), recordLength(whole)))
	for range 2 {
		if _, err := natsserver.Start(natstest.Embedded(folder)); !errors.Is(err, storefolder.ErrDamaged) {
			t.Fatalf("Start = %v, want ErrDamaged", err)
		}
	}
}

func TestMendLeavesAnIntactStoreUnchanged(t *testing.T) {
	t.Parallel()
	folder, jobs, _ := stored(t)
	before, err := os.ReadFile(jobs)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := storefolder.Mend(natstest.Embedded(folder).Store(), false, job.Action{}); len(done.LeftOut) != 0 || done.Kept != "" || err != nil {
		t.Errorf("Mend of a whole store = %v, %v, want nothing", done, err)
	}
	if after, err := os.ReadFile(jobs); err != nil || !bytes.Equal(before, after) {
		t.Errorf("Mend changed a whole file (%v)", err)
	}
	s, err := natsserver.Start(natsserver.Embedded{Folder: folder, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if _, err := storefolder.Mend(natstest.Embedded(folder).Store(), false, job.Action{}); !errors.Is(err, storefolder.ErrInUse) {
		t.Errorf("Mend under a server = %v, want ErrInUse", err)
	}
}
