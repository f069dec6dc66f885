package docs_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackagesStaySmall holds the sizes of packages, without tests and generated code: past these
// there is a second thing in one.
func TestPackagesStaySmall(t *testing.T) {
	const (
		mostFiles   = 30
		mostLines   = 3500
		commands    = "cmd/receiver" // a file for each command, in one package
		mostCommand = 5500
	)
	root := os.DirFS("..")
	files, lines := map[string]int{}, map[string]int{}
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".gen.go"):
			return nil
		}
		text, err := fs.ReadFile(root, path)
		folder := filepath.Dir(path)
		files[folder]++
		lines[folder] += bytes.Count(text, []byte("\n"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files[commands] == 0 {
		t.Fatalf("there is nothing in %s: this test looks at the wrong folder", commands)
	}
	for folder := range files {
		most, fits := mostLines, files[folder] <= mostFiles
		if folder == commands {
			most, fits = mostCommand, true
		}
		if !fits || lines[folder] > most {
			t.Errorf("%s has %d files with %d lines without tests, want at most %d with %d: move what has a name of its own to a package of its own",
				folder, files[folder], lines[folder], mostFiles, most)
		}
	}
}
