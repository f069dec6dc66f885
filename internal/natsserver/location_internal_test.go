package natsserver

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// The server replaces a block, and the next file that this process opens gets the inode of the old
// one: in the store, beside it, or of a file without a name. Nothing was lost.
func TestAReusedInodeIsNoLoss(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(dir string) (*os.File, error){
		"beside the store": func(dir string) (*os.File, error) { return os.CreateTemp(dir, "") },
		"without a name": func(dir string) (*os.File, error) {
			f, err := os.CreateTemp(dir, "")
			if err == nil {
				err = os.Remove(f.Name())
			}
			return f, err
		},
	} {
		folder, other := t.TempDir(), t.TempDir()
		block := func(n int) string { return filepath.Join(folder, "msgs", fmt.Sprintf("%d.blk", n)) }
		if err := os.Mkdir(filepath.Dir(block(1)), 0o700); err != nil {
			t.Fatal(err)
		}
		files := &streamFiles{}
		for n := 1; n < 30; n++ {
			if err := os.WriteFile(block(n), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if fault := files.check(folder, 1); fault != "" {
					t.Fatalf("%s: the check of block %d finds that %s", name, n, fault)
				}
			}
			if err := os.Remove(block(n)); err != nil {
				t.Fatal(err)
			}
			f, err := open(other)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
		}
		files.release()
	}
}
