package storefolder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// BatchesFolder is where a stream stages batches; see staging in natsserver.
const BatchesFolder = "batches"

// RepairCopy checks the files of a copy of a server's folder and leaves out what is damaged: a
// server would drop more than that, or count through a changed sequence for hours. It returns the
// damaged parts.
func RepairCopy(folder string) (damage []string, err error) {
	for _, stream := range ownStreams {
		paths, err := filepath.Glob(filepath.Join(folder, "jetstream", "*", "streams", stream, "msgs"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			places, err := messagesIn(filepath.Dir(path)).Repair()
			if err != nil {
				return nil, fmt.Errorf("checking the messages of %s: %w", stream, err)
			}
			damage = append(damage, places...)
		}
	}
	return damage, nil
}

// CopyTree copies a folder that a server may run on: regular files and folders. The only other
// entries in a store are links to where batches are staged. Folders whose names begin with a dot
// belong to streams that are being removed.
func CopyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if d.Type()&fs.ModeSymlink != 0 && d.Name() == BatchesFolder {
			return copyStaged(path, target)
		}
		return copyFile(path, target)
	})
}

// copyStaged copies the target of a link, if it exists.
func copyStaged(link, to string) error {
	from, err := filepath.EvalSymlinks(link)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return CopyTree(from, to)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// io.Copy lets the kernel share the blocks where the file system can.
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
