package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"receiver/internal/audit"
)

// exportedArchive exports what sealedFolder made, and returns the folder and the archive.
func exportedArchive(t *testing.T) (dir, path string) {
	t.Helper()
	dir = sealedFolder(t)
	path = filepath.Join(dir, "archive")
	var out bytes.Buffer
	args := []string{"--config", filepath.Join(dir, "config.yaml"), "audit", "export", path}
	if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != exitDone {
		t.Fatalf("audit export = exit %d: %s", code, &out)
	}
	return dir, path
}

// An archive proves what it holds: a log that is not in it at all is missed.
func TestAnArchiveWithoutOneOfItsLogsIsNoneOfAll(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(path string) error
		verify string   // below the archive
		want   []string // each begins a fault
	}{
		{"whole", func(string) error { return nil }, "", nil},
		{"one of its logs", func(string) error { return nil }, "ATTEMPTS", nil},
		{"one log removed", func(path string) error { return os.RemoveAll(filepath.Join(path, "ATTEMPTS")) }, "",
			[]string{"receiver/test/ATTEMPTS: missing: the archive has no folder for it"}},
		{"another log in its place", func(path string) error {
			attempts := filepath.Join(path, "ATTEMPTS")
			if err := os.RemoveAll(attempts); err != nil {
				return err
			}
			return os.CopyFS(attempts, os.DirFS(filepath.Join(path, "JOBS")))
		}, "", []string{"receiver/test/ATTEMPTS: missing"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir, path := exportedArchive(t)
			if err := row.change(path); err != nil {
				t.Fatal(err)
			}
			code, report := auditVerify(t, dir, "--export", filepath.Join(path, row.verify))
			if want := len(row.want) > 0; (code == exitFailed) != want || report.OK == want {
				t.Errorf("audit verify --export = exit %d, ok %v with faults %v, want faults: %v", code, report.OK, report.faults(), want)
			}
			for _, want := range row.want {
				if !slices.ContainsFunc(report.faults(), func(f audit.Fault) bool { return strings.HasPrefix(f.String(), want) }) {
					t.Errorf("no fault begins with %q; there are\n%v", want, report.faults())
				}
			}
		})
	}
}

// A folder that cannot be looked into is not as if it were not there.
func TestAnArchiveThatCannotBeReadIsNotVerified(t *testing.T) {
	t.Parallel()
	dir, path := exportedArchive(t)
	attempts := filepath.Join(path, "ATTEMPTS")
	if err := os.RemoveAll(attempts); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("ATTEMPTS", attempts); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	args := []string{"--config", filepath.Join(dir, "config.yaml"), "audit", "verify", "--export", path}
	if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != exitUnknown || !strings.Contains(out.String(), "not an export folder") {
		t.Errorf("audit verify --export = exit %d, %s, want that it is not an export folder", code, &out)
	}
}

// The range is the exporter's claim, so it is printed: the reader knows which range was requested.
func TestVerifyPrintsTheRangeOfAnArchive(t *testing.T) {
	t.Parallel()
	dir, path := exportedArchive(t)
	info := `{"format": "receiver-export/v1", "origin": "receiver/test/ACTIONS", "stream": "ACTIONS", "first_sequence": 1, "from": 9, "to": 3}`
	if err := os.WriteFile(filepath.Join(path, "ACTIONS", "log.json"), []byte(info), 0o600); err != nil {
		t.Fatal(err)
	}
	records := filepath.Join(path, "ACTIONS", "records")
	if err := os.RemoveAll(records); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(records, 0o700); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	args := []string{"--config", filepath.Join(dir, "config.yaml"), "audit", "verify", "--export", path}
	run(t.Context(), args, strings.NewReader(""), &out, io.Discard)
	lines := strings.Split(out.String(), "\n")
	for i, want := range [][]string{
		{"LOG", "VERDICT", "FROM", "TO", "LEAVES", "RECORDS"}, {"receiver/test/JOBS", "intact", "1", "5", "5", "5"}, {"receiver/test/ATTEMPTS", "intact", "1", "4", "4", "4"},
		{"receiver/test/ACTIONS", "intact", "-", "-", "2", "0"},
	} {
		if got := strings.Fields(lines[i]); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("line %d = %q, want it to begin with %q", i+1, lines[i], want)
		}
	}
}
