// Package upstream_test runs the minimal programs that show the faults of NATS which the receiver
// works around (docs/dependencies.md). Each program is complete, so that it can be reported as it
// is.
package upstream_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each row has a program, how many lines of its output begin with "fault:", and the workaround.
func TestFaultsOfNATSAreNotMended(t *testing.T) {
	t.Parallel()
	rows := []struct {
		program    string
		faults     int
		workaround string
	}{
		{"headername", 1, "harmless, in internal/job/header.go, which escapes the names of the server's headers in values"},
		{"status", 2, "internal/publish/reader and the uses of its AskLeader, which read without the client library's consumers and GetMsg"},
		{"sequence", 1, "Damage.Harmful and LargestJump, in internal/natsserver/blockfile, which keep such a file from the server"},
	}
	folder := t.TempDir()
	build := []string{"build", "-o", folder + string(filepath.Separator)}
	for _, row := range rows {
		build = append(build, "./"+filepath.Join("testdata", row.program))
	}
	if out, err := exec.CommandContext(t.Context(), "go", build...).CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", build, err, out)
	}
	for _, row := range rows {
		t.Run(row.program, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, filepath.Join(folder, row.program)).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", row.program, err, out)
			}
			if n := strings.Count("\n"+string(out), "\nfault: "); n < row.faults {
				t.Errorf("this upstream fault is mended, remove the workaround in %s. %s shows %d faults, want %d:\n%s",
					row.workaround, row.program, n, row.faults, out)
			}
			if !strings.Contains("\n"+string(out), "\ncorrect: ") && row.program == "headername" {
				t.Errorf("no condition holds any more, not even without the name in a value:\n%s", out)
			}
		})
	}
}
