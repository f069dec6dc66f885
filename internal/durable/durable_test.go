package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"receiver/internal/durable"
)

func TestAFileIsReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, text := range []string{"first", "second, longer", ""} {
		if err := durable.WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, _ := os.Stat(path)
		if err != nil || string(got) != text || info.Mode().Perm() != 0o600 {
			t.Errorf("the file holds %q, mode %v, %v; want %q, 0600", got, info.Mode(), err, text)
		}
	}
	onlyEntry(t, path)
}

func TestAFailureLeavesWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x")); err == nil {
		t.Error("a folder is replaced by a file")
	}
	onlyEntry(t, path)
	if err := durable.WriteFile(filepath.Join(path, "none", "a"), nil); err == nil {
		t.Error("a file is written in a folder that there is not")
	}
}

// onlyEntry fails the test if the folder of a file has another entry.
func onlyEntry(t *testing.T, path string) {
	t.Helper()
	if beside, err := os.ReadDir(filepath.Dir(path)); err != nil || len(beside) != 1 {
		t.Errorf("beside the file there is %v, %v", beside, err)
	}
}
