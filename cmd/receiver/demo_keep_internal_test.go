package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// demo --keep writes over nothing, be it a file, a folder or a link that leads nowhere yet.
func TestDemoKeepOverwritesNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"config.yaml", "signature.key", "log.key", "demo.creds", "receiver-data", "receiver-checkpoints", "receiver-checkpoints.store"} {
		for kind, put := range map[string]func(path string) error{
			"file":          func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
			"folder":        func(path string) error { return os.Mkdir(path, 0o700) },
			"dangling link": func(path string) error { return os.Symlink(path+".elsewhere", path) },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, name)
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				var out, talk bytes.Buffer
				code := run(t.Context(), []string{"demo", "--once", "--keep", dir}, strings.NewReader(""), &out, &talk)
				if code != exitUsage || !strings.Contains(talk.String(), name) || !strings.Contains(talk.String(), "empty folder") {
					t.Errorf("the demo ends with %d and says %q", code, &talk)
				}
				if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
					t.Errorf("the folder holds %v, %v", entries, err)
				}
				if text, err := os.ReadFile(path); kind == "file" && (err != nil || string(text) != "mine") {
					t.Errorf("%s holds %q, %v", name, text, err)
				}
			})
		}
	}
}
