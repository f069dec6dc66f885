package audit

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// Roots returns a function that gives the root that a tree of this log had when it was of another
// size, of at most its own. Each tile is read once and proved against the tree; that they do not
// make it up is ErrTile.
func (l *Log) Roots(ctx context.Context, tree tlog.Tree) func(size int64) (tlog.Hash, error) {
	read := map[tlog.Tile][]byte{}
	hashes := tlog.TileHashReader(tree, tileReader(func(t tlog.Tile) ([]byte, error) {
		if data, ok := read[t]; ok {
			return data, nil
		}
		data, err := l.tile(ctx, t)
		if err == nil {
			read[t] = data
		}
		return data, err
	}))
	return func(size int64) (tlog.Hash, error) {
		switch size {
		case tree.N:
			return tree.Hash, nil
		case 0:
			return tile.EmptyTree().Hash, nil
		}
		root, err := tlog.TreeHash(size, hashes)
		return root, tileError(ctx, "reading tiles", err)
	}
}
