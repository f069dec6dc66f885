package archive

import (
	"errors"
	"io/fs"
	"os"
	pathpkg "path"
	"path/filepath"
	"strings"

	"receiver/internal/audit"
)

// OpenAll opens an export folder, or all that are in a folder, named by these streams. An
// unreadable folder is an error, unlike a missing one.
func OpenAll(path string, streams []string) ([]*Folder, error) {
	folder, err := Open(path)
	if err == nil {
		return []*Folder{folder}, nil
	}
	var all []*Folder
	for _, stream := range streams {
		if _, err := os.Lstat(filepath.Join(path, stream)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		inner, err := Open(filepath.Join(path, stream))
		if err != nil {
			return nil, err
		}
		all = append(all, inner)
	}
	if len(all) == 0 {
		return nil, err
	}
	return all, nil
}

// OpenStream opens the export folder of one of these streams; it returns nil if there is none.
func OpenStream(path string, streams []string, stream string) (*Folder, error) {
	folders, err := OpenAll(path, streams)
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		if strings.HasSuffix(folder.Origin(), "/"+stream) {
			return folder, nil
		}
	}
	return nil, nil
}

// Absent returns the origins that an archive at path has no folder of, though it has
// one of another log of the same receiver, and the key is believed. A folder by itself,
// named as audit export does, was meant alone.
func Absent(path string, folders []*Folder, keys audit.Keys) []string {
	if whole, err := filepath.Abs(path); err == nil && len(folders) == 1 && filepath.Base(whole) == filepath.Base(folders[0].Origin()) {
		return nil
	}
	receivers, there := map[string]bool{}, map[string]bool{}
	for _, f := range folders {
		receivers[pathpkg.Dir(f.Origin())], there[f.Origin()] = true, true
	}
	var absent []string
	for _, key := range keys.Log {
		if origin := key.Name(); receivers[pathpkg.Dir(origin)] && !there[origin] {
			there[origin] = true // said once, of however many keys
			absent = append(absent, origin)
		}
	}
	return absent
}
