package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/natsserver/storefolder"
)

// Sealed is what signed checkpoints know of the store, so that it is held against them before
// it is opened. A checkpoint that no configured key signed tells nothing.
func Sealed(cfg *config.Config) storefolder.Sealed {
	path := cfg.Abs(cfg.Audit.CheckpointFile)
	keys, err := Keys(cfg.Audit)
	if err != nil || len(keys.Log) == 0 {
		return storefolder.Sealed{File: path} // what is wrong with the keys, sealing says
	}
	read := func(signed []byte) (string, uint64, bool) {
		cp, err := audit.OpenCheckpoint(signed, keys)
		if err != nil {
			return "", 0, false
		}
		i := slices.IndexFunc(Streams, func(s string) bool { return cp.Origin == audit.Origin(cfg.Audit.Name, s) })
		if i < 0 {
			return "", 0, false
		}
		return Streams[i], uint64(cp.Tree.N), true
	}
	kept := func() (map[string]uint64, error) {
		notes, err := anchor.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("audit.checkpoint_file: %w", err)
		}
		largest := anchor.Largest{}
		for _, c := range notes {
			_ = largest.Add(c) // what is no checkpoint, sealing names
		}
		sizes := map[string]uint64{}
		for _, cp := range largest {
			if stream, size, ok := read(cp.Note); ok {
				sizes[stream] = size
			}
		}
		return sizes, nil
	}
	return storefolder.Sealed{Kept: kept, Read: read, File: path}
}
