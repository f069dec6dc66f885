package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	pathpkg "path"
	"path/filepath"
	"slices"
	"strings"

	"receiver/internal/audit"
)

// Archive is what one export made: the folders of its logs.
type Archive struct {
	// Name is the folder among others, such as 2026-11; empty for one that was named itself.
	Name    string
	Folders []*Folder
}

// OpenAll opens an export folder, or all that are in a folder, named by these streams; or all
// archives that are in a folder, in the order of their names. An unreadable folder is an error,
// unlike a missing one, and so is an archive within another: nothing may pass that was not read.
func OpenAll(path string, streams []string) ([]Archive, error) {
	whole, err := openOne(path, streams)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	var all []Archive
	for _, e := range entries {
		inner := filepath.Join(path, e.Name())
		info, err := os.Stat(inner)
		// With a dot begins one that was not finished.
		if err != nil || !info.IsDir() || strings.HasPrefix(e.Name(), ".") || slices.Contains(streams, e.Name()) {
			continue
		}
		folders, err := openOne(inner, streams)
		if err != nil {
			return nil, err
		}
		if len(folders) > 0 {
			all = append(all, Archive{Name: e.Name(), Folders: folders})
		}
	}
	switch {
	case len(whole) > 0 && len(all) > 0: // one of them would not be looked at
		return nil, fmt.Errorf("%w: %s is an archive, and has another in it, %s: put each into a folder of its own", ErrFolder, path, all[0].Name)
	case len(whole) > 0:
		return []Archive{{Folders: whole}}, nil
	case len(all) == 0:
		_, err = Open(path)
	}
	return all, err
}

// openOne opens an export folder, or all of these streams in a folder, or none.
func openOne(path string, streams []string) ([]*Folder, error) {
	var all []*Folder
	for _, inner := range append([]string{""}, streams...) {
		missing := filepath.Join(path, inner)
		if inner == "" {
			missing = filepath.Join(path, folderLog)
		}
		if _, err := os.Lstat(missing); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		folder, err := Open(filepath.Join(path, inner))
		if err != nil {
			return nil, err
		}
		all = append(all, folder)
	}
	if len(all) > 1 && all[0].path == filepath.Clean(path) {
		return nil, fmt.Errorf("%w: %s is the folder of a log, and has that of another in it, %s", ErrFolder, path, all[1].path)
	}
	return all, nil
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
