package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"receiver/internal/durable"
)

// folderBodies holds the bodies that are kept outside of the messages, each under its SHA-256.
const folderBodies = "bodies"

// Bodies finds bodies that are kept in files, by the SHA-256 of their bytes in hexadecimal. It may
// be used concurrently; nil and the zero value find none.
type Bodies struct {
	folders []string          // of files that are named by their digest
	files   map[string]string // their paths, by digest

	mu   sync.Mutex
	used map[string]bool // digests
}

// OpenBodies opens files of one body each, and folders of files that are named by their digest.
func OpenBodies(paths ...string) (*Bodies, error) {
	b := &Bodies{files: make(map[string]string), used: make(map[string]bool)}
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, err
		case info.IsDir():
			b.folders = append(b.folders, path)
			continue
		}
		digest, err := fileDigest(path)
		if err != nil {
			return nil, err
		}
		b.files[digest] = path
	}
	return b, nil
}

func fileDigest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Find returns the body with a digest, or nil if there is none.
func (b *Bodies) Find(digest string) ([]byte, error) {
	if raw, err := hex.DecodeString(digest); b == nil || err != nil || len(raw) != sha256.Size {
		return nil, nil
	}
	paths := make([]string, 0, 1+len(b.folders))
	if path, ok := b.files[digest]; ok {
		paths = append(paths, path)
	}
	for _, folder := range b.folders {
		paths = append(paths, filepath.Join(folder, digest))
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if sum := sha256.Sum256(data); err == nil && hex.EncodeToString(sum[:]) != digest {
			err = fmt.Errorf("%s does not hold the body that its name says", path)
		}
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.used[digest] = true
		return append([]byte{}, data...), nil
	}
	return nil, nil
}

// Unused returns the files, folders apart, whose body was never found.
func (b *Bodies) Unused() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var unused []string
	for digest, path := range b.files {
		if !b.used[digest] {
			unused = append(unused, path)
		}
	}
	slices.Sort(unused)
	return unused
}

// WriteBody writes a body into a folder, under its SHA-256. One that is there is left alone.
func WriteBody(folder string, data []byte) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	path := filepath.Join(folder, hex.EncodeToString(sum[:]))
	if digest, err := fileDigest(path); err == nil && digest == filepath.Base(path) {
		return nil
	}
	return durable.WriteFile(path, data)
}

// BodiesOf opens the bodies that are in export folders; nil if there are none at all.
func BodiesOf(folders []*Folder) (*Bodies, error) {
	var paths []string
	for _, f := range folders {
		path := filepath.Join(f.path, folderBodies)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		paths = append(paths, path)
	}
	if len(paths) == 0 {
		return nil, nil
	}
	return OpenBodies(paths...)
}
