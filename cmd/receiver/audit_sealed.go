package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
)

// sealed is what signed checkpoints know of the store, so that it is held against them before
// it is opened. A checkpoint that no configured key signed tells nothing.
func sealed(cfg *config.Config) publish.Sealed {
	path := cfg.Abs(cfg.Audit.CheckpointFile)
	keys, err := auditKeys(cfg.Audit)
	if err != nil || len(keys.Log) == 0 {
		return publish.Sealed{File: path} // what is wrong with the keys, sealing says
	}
	read := func(signed []byte) (string, uint64, bool) {
		cp, err := audit.OpenCheckpoint(signed, keys)
		if err != nil {
			return "", 0, false
		}
		i := slices.IndexFunc(sealedStreams, func(s string) bool { return cp.Origin == audit.Origin(cfg.Audit.Name, s) })
		if i < 0 {
			return "", 0, false
		}
		return sealedStreams[i], uint64(cp.Tree.N), true
	}
	kept := func() (map[string]uint64, error) {
		notes, err := audit.ReadCheckpointFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("audit.checkpoint_file: %w", err)
		}
		largest := lastKept{}
		for _, c := range notes {
			_ = largest.add(c) // what is no checkpoint, sealing names
		}
		sizes := map[string]uint64{}
		for _, cp := range largest {
			if stream, size, ok := read(cp.Note); ok {
				sizes[stream] = size
			}
		}
		return sizes, nil
	}
	return publish.Sealed{Kept: kept, Read: read, File: path}
}

// recordAccepted records the operator's word that the store was started on, if there is one.
func recordAccepted(ctx context.Context, server *publish.Server, bus *publish.Bus) error {
	action, ok := server.Accepted()
	if !ok {
		return nil
	}
	if _, err := bus.Act(ctx, action); err != nil {
		return err
	}
	return server.Recorded()
}
