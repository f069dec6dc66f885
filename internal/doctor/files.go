package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is a file or folder that not everybody may read or change.
type File struct {
	Path string
	// The kind of file, as in "the secret file …".
	What string
	// Secret is false for what everybody may read, but not change.
	Secret bool
	// Mode is that of what the path leads to; Err says why it is not known.
	Mode fs.FileMode
	Err  error
	// Lent is true for a file of root that the group of this process alone may read, too.
	Lent bool
}

// Stat returns what the system says of a file.
func Stat(path, what string, secret bool) File {
	f := File{Path: path, What: what, Secret: secret}
	info, err := os.Stat(path)
	if err != nil {
		f.Err = err
		return f
	}
	f.Mode, f.Lent = info.Mode(), lent(info, os.Geteuid())
	return f
}

// Exposed reports whether others than its owner, and this process, may read or change it.
func (f File) Exposed() bool {
	if f.Lent {
		return f.Mode&(groupWrite|0o007) != 0
	}
	return f.Mode&0o077 != 0
}

// Bits of a file's mode.
const (
	othersWrite = 0o002
	groupWrite  = 0o020
	anybodyRead = 0o044
)

// Files judges who may read and change them. A file that is not there is no finding.
func Files(files []File) []Finding {
	var found []Finding
	there := 0
	for _, f := range files {
		if !errors.Is(f.Err, fs.ErrNotExist) {
			there++
		}
		if finding, ok := f.finding(); ok {
			found = append(found, finding)
		}
	}
	if len(found) == 0 {
		return []Finding{{What: fmt.Sprintf("files and folders accessible only to their owner: %d", there)}}
	}
	return found
}

func (f File) finding() (Finding, bool) {
	name := fmt.Sprintf("%s %s", f.What, f.Path)
	mode := "600"
	if f.Mode.IsDir() {
		mode = "700"
	}
	if !f.Secret {
		mode = "644"
	}
	found := Finding{Severity: Warning, Change: fmt.Sprintf("chmod %s %s", mode, f.Path)}
	switch {
	case errors.Is(f.Err, fs.ErrNotExist):
		return Finding{}, false
	case f.Err != nil:
		found.What, found.Why = fmt.Sprintf("%s cannot be checked: %v", name, f.Err), "the receiver cannot use it either"
	case f.Mode&othersWrite != 0:
		found.Severity = Error
		found.What, found.Why = name+" can be changed by every user of this machine", "a changed file decides what the receiver trusts"
	case f.Mode&groupWrite != 0:
		found.What, found.Why = name+" can be changed by its group", "a changed file decides what the receiver trusts"
	case f.Secret && f.Mode&anybodyRead != 0 && f.Exposed():
		found.What, found.Why = fmt.Sprintf("%s can be read by others (mode %04o)", name, f.Mode.Perm()), "a user who reads a key or a token can use it"
	default:
		return Finding{}, false
	}
	return found, true
}
