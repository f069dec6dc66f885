package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/sealing"
)

// ErrFile is returned for a checkpoint file that cannot be used.
var ErrFile = errors.New("audit.checkpoint_file")

// Sealed is what signed checkpoints know of the store, so that it is held against them before
// it is opened. A checkpoint that no configured key signed tells nothing.
func Sealed(cfg *config.Config) storefolder.Sealed {
	path := cfg.Abs(cfg.Audit.CheckpointFile)
	keys, err := Keys(cfg.Audit)
	if err != nil || len(keys.Log) == 0 {
		return storefolder.Sealed{} // what is wrong with the keys, sealing says
	}
	read := func(signed []byte) (string, uint64, bool) {
		cp, err := audit.OpenCheckpoint(signed, keys)
		if err != nil {
			return "", 0, false
		}
		i := slices.IndexFunc(Streams, func(s string) bool { return cp.Origin == Origin(cfg.Audit, s) })
		if i < 0 {
			return "", 0, false
		}
		return Streams[i], uint64(cp.Tree.N), true
	}
	kept := func() (map[string]storefolder.Known, error) {
		known := map[string]storefolder.Known{}
		add := func(where string, note []byte) error {
			stream, size, ok := read(note)
			if !ok {
				return audit.ErrSignature
			}
			if size > known[stream].Size {
				known[stream] = storefolder.Known{Size: size, Where: where}
			}
			return nil
		}
		notes, err := anchor.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", ErrFile, err)
		}
		largest := anchor.Largest{}
		for _, c := range notes {
			_ = largest.Add(c) // what is no checkpoint, sealing names
		}
		for _, cp := range largest {
			_ = add(path, cp.Note)
		}
		for _, a := range cfg.Audit.Anchors {
			for _, stream := range Streams {
				if a.Directory != "" { // one that cannot be read, sealing names
					dir := cfg.Abs(a.Directory)
					_ = anchor.Dir{Path: dir}.Largest(Origin(cfg.Audit, stream), func(note []byte) error { return add(dir, note) })
				}
			}
		}
		return known, nil
	}
	return storefolder.Sealed{Kept: kept, Read: read}
}

// Forks are the files in which a receiver kept the proof that a log contradicted itself.
func Forks(cfg *config.Config) []string {
	file := cfg.Abs(cfg.Audit.CheckpointFile)
	entries, _ := os.ReadDir(filepath.Dir(file)) // where there is no folder there is no file
	var forks []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(file)+sealing.ForkSuffix) {
			forks = append(forks, filepath.Join(filepath.Dir(file), e.Name()))
		}
	}
	return forks
}
