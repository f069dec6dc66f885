package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// Tile returns the tile with this C2SP tlog-tiles name (tile/<level>/<number>[.p/<width>]),
// for serving it. A name that is none, or not in the tree of the newest checkpoint, is
// fs.ErrNotExist. Partial tiles of older checkpoints are served too, cut from wider ones.
func (l *Log) Tile(ctx context.Context, name string) ([]byte, error) {
	t, ok := tile.ParseName(name)
	if !ok {
		return nil, fmt.Errorf("tile %q: %w", name, fs.ErrNotExist)
	}
	tree, err := l.claimed(ctx)
	if err != nil {
		return nil, err
	}
	if current, _ := tile.In(t, tree.N); current.W < t.W {
		return nil, fmt.Errorf("tile %q: %w", name, fs.ErrNotExist)
	}
	return l.tile(ctx, t)
}

// Tiles calls yield with every tile of the tree with so many leaves, and its C2SP name. None
// of them is proved.
func (l *Log) Tiles(ctx context.Context, size int64, yield func(name string, data []byte) error) error {
	for _, t := range tlog.NewTiles(tile.Height, 0, size) {
		data, err := l.tile(ctx, t)
		if err != nil {
			return tileError(ctx, "reading tiles", err)
		}
		if err := yield(tile.Name(t), data); err != nil {
			return err
		}
	}
	return nil
}

// tile returns the hashes of a tile, wherever they are: under the tile's own name, in a
// wider tile that took its place, or in the stage of a sealing that is being finished. Not
// found anywhere is fs.ErrNotExist, a wrong length ErrTile.
func (l *Log) tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	const attempts = 3 // the log may advance, and replace the partial tile, while we look
	var err error
	for range attempts {
		var data []byte
		if data, err = l.get(ctx, t, t.W); !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
		if data, err = l.tileElsewhere(ctx, t); !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return nil, err
}

// StoredTile returns the hashes of a tile, wherever they are, or why none can be used. They are not
// proved.
func (l *Log) StoredTile(ctx context.Context, t tlog.Tile) (data []byte, why string, err error) {
	data, err = l.tile(ctx, t)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "it is missing", nil
	case errors.Is(err, ErrTile):
		return nil, "it has the wrong length", nil
	case err == nil && bytes.Equal(data, nil):
		return nil, "it is empty", nil
	}
	return data, "", err
}

// tileElsewhere looks for the hashes of a tile that is not stored under its own name.
func (l *Log) tileElsewhere(ctx context.Context, t tlog.Tile) ([]byte, error) {
	tree, err := l.claimed(ctx)
	if err != nil {
		return nil, err
	}
	current, _ := tile.In(t, tree.N)
	full := tlog.Tile{H: tile.Height, L: t.L, N: t.N, W: tile.Width}
	for _, wider := range []tlog.Tile{current, full} {
		if wider.W <= t.W {
			continue
		}
		if data, err := l.get(ctx, wider, t.W); !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	staged, err := l.readStage(ctx, tree)
	if err != nil {
		return nil, err
	}
	if data, ok := staged.find(t); ok {
		return data, nil
	}
	return nil, fmt.Errorf("tile %s: %w", tile.Name(t), fs.ErrNotExist)
}

// get reads one stored tile and returns its first width hashes.
func (l *Log) get(ctx context.Context, t tlog.Tile, width int) ([]byte, error) {
	data, err := l.o.Storage.Get(ctx, tile.Name(t))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", tile.Name(t), err)
	}
	if len(data) != t.W*tlog.HashSize {
		return nil, fmt.Errorf("%w: %s has %d bytes, want %d", ErrTile, tile.Name(t), len(data), t.W*tlog.HashSize)
	}
	return data[:width*tlog.HashSize], nil
}

// claimed returns the tree of the stored checkpoint, or an empty one if it cannot be read. It is
// not verified: it only says where tiles are, and every use of a tile proves it.
func (l *Log) claimed(ctx context.Context) (tlog.Tree, error) {
	note, _, err := l.o.Checkpoints.Load(ctx)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("loading checkpoint: %w", err)
	}
	cp, err := ReadCheckpoint(note)
	if err != nil {
		return tlog.Tree{}, nil
	}
	return cp.Tree, nil
}

// proofs returns a reader of a tree's hashes, each proved to belong to the tree before it
// is returned. Tiles in overlay are preferred to stored ones.
func (l *Log) proofs(ctx context.Context, tree tlog.Tree, overlay stage) tlog.HashReader {
	// Package tlog's reader indexes the tree's right edge, which an empty tree has none of.
	if tree.N == 0 {
		return tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, nil })
	}
	return tlog.TileHashReader(tree, tileReader(func(t tlog.Tile) ([]byte, error) {
		if data, ok := overlay.find(t); ok {
			return data, nil
		}
		return l.tile(ctx, t)
	}))
}

// tileReader makes a function that reads one tile a tlog.TileReader.
type tileReader func(tlog.Tile) ([]byte, error)

// Height implements tlog.TileReader.
func (tileReader) Height() int { return tile.Height }

// SaveTiles implements tlog.TileReader; there is nothing to cache.
func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements tlog.TileReader.
func (read tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		data, err := read(t)
		if err != nil {
			return nil, err
		}
		all[i] = data
	}
	return all, nil
}

// proveTree returns the proof that the first old leaves of tree are a prefix of it. The
// tiles are proved on the way; that they do not fit is ErrTile.
func (l *Log) proveTree(ctx context.Context, tree tlog.Tree, old int64, overlay stage) (tlog.TreeProof, error) {
	if old == 0 || old == tree.N {
		return nil, nil
	}
	if tree.N > tile.MaxSize {
		return nil, fmt.Errorf("proving consistency: %w: no log has %d leaves", ErrTile, tree.N)
	}
	proof, err := tlog.ProveTree(tree.N, old, l.proofs(ctx, tree, overlay))
	return proof, tileError(ctx, "proving consistency", err)
}

// ProveTree returns the proof that the first old leaves of a tree of this log are a prefix of it;
// none is needed for 0 and for all. The error is ErrTile if the tiles do not make up the tree.
func (l *Log) ProveTree(ctx context.Context, tree tlog.Tree, old int64) (tlog.TreeProof, error) {
	return l.proveTree(ctx, tree, old, nil)
}

// tileError gives package tlog's complaints about tiles our sentinel; cancellation and
// storage errors keep their own.
func tileError(ctx context.Context, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: %w", doing, ErrTile, err)
	case ctx.Err() != nil || errors.Unwrap(err) != nil:
		return fmt.Errorf("%s: %w", doing, err)
	default:
		return fmt.Errorf("%s: %w: %v", doing, ErrTile, err)
	}
}
