package durable_test

import (
	"errors"
	"io/fs"
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

func TestANewFileIsNeverWrittenOverAnything(t *testing.T) {
	folder := t.TempDir()
	for name, make := range map[string]func(path string) error{
		"a file":        func(path string) error { return os.WriteFile(path, []byte("old"), 0o600) },
		"a folder":      func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":        func(path string) error { return os.Symlink(folder, path) },
		"a broken link": func(path string) error { return os.Symlink(filepath.Join(folder, "nowhere"), path) },
	} {
		path := filepath.Join(folder, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if err := durable.WriteNew(path, []byte("new")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over %s: %v, want that it exists", name, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(folder, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a broken link was followed: %v", err)
	}
	path := filepath.Join(t.TempDir(), "new")
	if err := durable.WriteNew(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if info, _ := os.Stat(path); err != nil || string(text) != "new" || info.Mode() != 0o600 {
		t.Errorf("the file holds %q, mode %v, %v; want new, 0600", text, info.Mode(), err)
	}
}

// onlyEntry fails the test if the folder of a file has another entry.
func onlyEntry(t *testing.T, path string) {
	t.Helper()
	if beside, err := os.ReadDir(filepath.Dir(path)); err != nil || len(beside) != 1 {
		t.Errorf("beside the file there is %v, %v", beside, err)
	}
}
