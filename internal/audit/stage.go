package audit

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// stageTag opens the file that a sealing writes before its checkpoint.
const stageTag = "receiver-stage/v1\n"

// stage is the set of tiles that one sealing adds. It is stored whole, under a name that only this
// tree has, before the checkpoint is; the tiles go to their own places after. So the files of a
// sealer that lost the race, or died, are never at the place of a tile of the log, and the next
// sealer can complete the tree of a checkpoint.
type stage []tile.Data

// stageName is unique to a tree: it holds the size and the root.
func stageName(tree tlog.Tree) string {
	return fmt.Sprintf("stage/%d-%s", tree.N, hex.EncodeToString(tree.Hash[:]))
}

// find returns the hashes of t if the stage has t or a wider version of it.
func (s stage) find(t tlog.Tile) ([]byte, bool) {
	for _, d := range s {
		if d.Tile.L == t.L && d.Tile.N == t.N && d.Tile.W >= t.W {
			return d.Hashes[:t.W*tlog.HashSize], true
		}
	}
	return nil, false
}

// encode writes, after the tag, for each tile: level (1 byte), number (8), width (2), all
// big-endian, then the hashes.
func (s stage) encode() []byte {
	b := []byte(stageTag)
	for _, d := range s {
		b = append(b, byte(d.Tile.L))
		b = binary.BigEndian.AppendUint64(b, uint64(d.Tile.N))
		b = binary.BigEndian.AppendUint16(b, uint16(d.Tile.W))
		b = append(b, d.Hashes...)
	}
	return b
}

// parseStage reads what encode wrote. Everything else is ErrTile.
func parseStage(b []byte) (stage, error) {
	const head = 1 + 8 + 2
	rest, ok := strings.CutPrefix(string(b), stageTag)
	var s stage
	for ok && rest != "" {
		if ok = len(rest) >= head; !ok {
			break
		}
		t := tlog.Tile{
			H: tile.Height,
			L: int(rest[0]),
			N: int64(binary.BigEndian.Uint64([]byte(rest[1:9]))),
			W: int(binary.BigEndian.Uint16([]byte(rest[9:head]))),
		}
		end := head + t.W*tlog.HashSize
		if ok = t.L < 8 && t.N >= 0 && t.W > 0 && t.W <= tile.Width && end <= len(rest); ok {
			s = append(s, tile.Data{Tile: t, Hashes: []byte(rest[head:end])})
			rest = rest[end:]
		}
	}
	if !ok {
		return nil, fmt.Errorf("%w: malformed stage", ErrTile)
	}
	return s, nil
}

// readStage returns the stage of a tree; fs.ErrNotExist when it was finished long ago.
func (l *Log) readStage(ctx context.Context, tree tlog.Tree) (stage, error) {
	b, err := l.o.Storage.Get(ctx, stageName(tree))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", stageName(tree), err)
	}
	return parseStage(b)
}

// prove checks every tile of the stage against the tree. A tile that does not fit is ErrTile.
func (s stage) prove(ctx context.Context, l *Log, tree tlog.Tree) error {
	var indexes []int64
	for _, d := range s {
		if in, ok := tile.In(d.Tile, tree.N); !ok || in.W != d.Tile.W {
			return fmt.Errorf("%w: staged %s is not a tile of a tree of size %d", ErrTile, tile.Name(d.Tile), tree.N)
		}
		indexes = append(indexes, tlog.StoredHashIndex(tile.Height*d.Tile.L, d.Tile.N<<tile.Height))
	}
	_, err := l.proofs(ctx, tree, s).ReadHashes(indexes)
	return tileError(ctx, "proving stage", err)
}

// publish writes every tile to its place. The content is settled by the checkpoint, so
// writing one twice, or late, or by two sealers at once, changes nothing.
func (s stage) publish(ctx context.Context, storage Storage) error {
	for _, d := range s {
		if err := storage.Put(ctx, tile.Name(d.Tile), d.Hashes); err != nil {
			return fmt.Errorf("writing %s: %w", tile.Name(d.Tile), err)
		}
	}
	return nil
}
