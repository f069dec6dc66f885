// Package tile cuts a Merkle tree into tiles of hashes, as C2SP tlog-tiles has them, and grows one
// leaf by leaf.
package tile

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// C2SP: tlog-tiles. Tiles are 8 levels high, so a full one has 256 hashes.
const (
	Height = 8
	Width  = 1 << Height
)

// MaxSize is the largest tree that has proofs: package tlog does not return for a larger one.
// The holder of a log's key can claim that there is one.
const MaxSize = 1<<62 - 1

// Name returns the storage name of a tile: tile/<level>/<number>[.p/<width>]. It is
// package tlog's name without the height.
func Name(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", Height))
}

// ParseName is the inverse of Name; false for every other string.
func ParseName(name string) (tlog.Tile, bool) {
	rest, ok := strings.CutPrefix(name, "tile/")
	if !ok {
		return tlog.Tile{}, false
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", Height, rest))
	return t, err == nil && t.L >= 0 && t.L < 64
}

// In returns the tile with t's level and number as wide as it is in a tree of size
// leaves; false if that tree has no such tile.
func In(t tlog.Tile, size int64) (tlog.Tile, bool) {
	level := size >> (Height * t.L)
	have := level - t.N<<Height
	if t.N > level>>Height || have <= 0 {
		return tlog.Tile{}, false
	}
	return tlog.Tile{H: Height, L: t.L, N: t.N, W: int(min(have, Width))}, true
}

// Data is a tile with its hashes.
type Data struct {
	Tile   tlog.Tile
	Hashes []byte // Tile.W of them
}

// Frontier is the right edge of a growing tree: at each level the tile that is not full
// yet. It is all that is needed to append leaves and to know the root.
type Frontier struct {
	Size   int64            // leaves
	Levels [][]byte         // the hashes of each level's unfinished tile, possibly none
	Full   func(Data) error // called with every tile that becomes full; it owns the data
}

// Append adds one leaf hash.
func (f *Frontier) Append(h tlog.Hash) error {
	f.Size++
	return f.push(0, h)
}

// Skip adds a whole tile of leaf hashes by its root, where a tile ends.
func (f *Frontier) Skip(root tlog.Hash) error {
	f.Size += Width
	return f.push(1, root)
}

func (f *Frontier) push(level int, h tlog.Hash) error {
	for level >= len(f.Levels) {
		f.Levels = append(f.Levels, nil)
	}
	if f.Levels[level] == nil {
		f.Levels[level] = make([]byte, 0, Width*tlog.HashSize)
	}
	f.Levels[level] = append(f.Levels[level], h[:]...)
	if len(f.Levels[level]) < Width*tlog.HashSize {
		return nil
	}
	t := Data{
		Tile:   tlog.Tile{H: Height, L: level, N: (f.Size - 1) >> (Height * (level + 1)), W: Width},
		Hashes: f.Levels[level],
	}
	f.Levels[level] = nil
	if err := f.Full(t); err != nil {
		return err
	}
	root, err := Root(t)
	if err != nil {
		return err
	}
	return f.push(level+1, root)
}

// Partial returns the unfinished tiles, lowest level first. They share f's memory.
func (f *Frontier) Partial() []Data {
	var tiles []Data
	for level, data := range f.Levels {
		if len(data) > 0 {
			tiles = append(tiles, Data{f.unfinished(level), data})
		}
	}
	return tiles
}

func (f *Frontier) unfinished(level int) tlog.Tile {
	return tlog.Tile{
		H: Height,
		L: level,
		N: f.Size >> (Height * (level + 1)),
		W: len(f.Levels[level]) / tlog.HashSize,
	}
}

// Tree returns the tree of everything appended so far.
func (f *Frontier) Tree() (tlog.Tree, error) {
	hash, err := tlog.TreeHash(f.Size, tlog.HashReaderFunc(f.readHashes))
	return tlog.Tree{N: f.Size, Hash: hash}, err
}

// readHashes serves TreeHash, which asks only for nodes inside the unfinished tiles.
func (f *Frontier) readHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level := tlog.TileForIndex(Height, index).L
		if level >= len(f.Levels) || len(f.Levels[level]) == 0 {
			return nil, fmt.Errorf("hash %d is not on the right edge of a tree of size %d", index, f.Size)
		}
		h, err := tlog.HashFromTile(f.unfinished(level), f.Levels[level], index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}

// Clone returns a frontier that grows on its own.
func (f *Frontier) Clone(full func(Data) error) *Frontier {
	c := &Frontier{Size: f.Size, Full: full, Levels: make([][]byte, len(f.Levels))}
	for i, level := range f.Levels {
		if len(level) > 0 {
			c.Levels[i] = append(make([]byte, 0, Width*tlog.HashSize), level...)
		}
	}
	return c
}

// Root returns the hash of a full tile's subtree.
func Root(t Data) (tlog.Hash, error) {
	// HashFromTile goes up to the two nodes under the tile's root; the root itself is
	// already part of the tile above.
	level := Height*(t.Tile.L+1) - 1
	left, err1 := tlog.HashFromTile(t.Tile, t.Hashes, tlog.StoredHashIndex(level, 2*t.Tile.N))
	right, err2 := tlog.HashFromTile(t.Tile, t.Hashes, tlog.StoredHashIndex(level, 2*t.Tile.N+1))
	return tlog.NodeHash(left, right), errors.Join(err1, err2)
}

// HashAt returns the i-th hash of tile data.
func HashAt(data []byte, i int) tlog.Hash {
	return tlog.Hash(data[i*tlog.HashSize : (i+1)*tlog.HashSize])
}

// Edge returns the partial tiles of a tree of size leaves: at most one a level.
func Edge(size int64) []tlog.Tile {
	var tiles []tlog.Tile
	for level := 0; size>>(Height*level) > 0; level++ {
		n := size >> (Height * level)
		if w := n % Width; w > 0 {
			tiles = append(tiles, tlog.Tile{H: Height, L: level, N: n / Width, W: int(w)})
		}
	}
	return tiles
}

// Obsolete returns the partial tiles of a tree of old leaves that are no part of one of
// grown leaves: a wider tile took their place.
func Obsolete(old, grown int64) []tlog.Tile {
	var tiles []tlog.Tile
	for _, t := range Edge(old) {
		if wider, ok := In(t, grown); ok && wider.W > t.W {
			tiles = append(tiles, t)
		}
	}
	return tiles
}

// EmptyTree returns the tree of no leaves.
func EmptyTree() tlog.Tree {
	hash, _ := tlog.TreeHash(0, nil) // of the empty tree it needs no reader and cannot fail
	return tlog.Tree{Hash: hash}
}
