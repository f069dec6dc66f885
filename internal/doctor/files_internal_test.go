//go:build unix

package doctor

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

type owned struct {
	fs.FileInfo
	user, group uint32
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: o.user, Gid: o.group} }

// A pod's Secret is root's, and its group alone may read it. No other file that a group may read
// is without a warning.
func TestASecretOfAPodIsNotExposed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "crm.key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		mode        fs.FileMode
		user, group uint32
		process     int
		said        bool
	}{
		{"of a pod", 0o440, 0, 65532, 65532, false},
		{"of a pod, for its owner to change", 0o640, 0, 65532, 65532, false},
		{"of a pod, for all", 0o444, 0, 65532, 65532, true},
		{"of a pod, for its group to change", 0o460, 0, 65532, 65532, true},
		{"of a group that others have, too", 0o440, 0, 100, 65532, true},
		{"of the process, for its group", 0o440, 65532, 65532, 65532, true},
		{"of root's group, for root", 0o440, 0, 0, 0, true},
		{"of another user", 0o440, 1000, 65532, 65532, true},
		{"of the process alone", 0o400, 65532, 65532, 65532, false},
	} {
		f := File{Path: path, What: "the secret file", Secret: true, Mode: tt.mode, Lent: lent(owned{info, tt.user, tt.group}, tt.process)}
		if _, said := f.finding(); said != tt.said || f.Exposed() != tt.said {
			t.Errorf("%s: a warning: %v, exposed: %v, want %v", tt.name, said, f.Exposed(), tt.said)
		}
	}
}
