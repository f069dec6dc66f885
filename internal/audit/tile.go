package audit

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// C2SP: tlog-tiles. Tiles are 8 levels high, so a full one has 256 hashes.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// tileName returns the storage name of a tile: tile/<level>/<number>[.p/<width>]. It is
// package tlog's name without the height.
func tileName(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

// parseTileName is the inverse of tileName; false for every other string.
func parseTileName(name string) (tlog.Tile, bool) {
	rest, ok := strings.CutPrefix(name, "tile/")
	if !ok {
		return tlog.Tile{}, false
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, rest))
	return t, err == nil && t.L >= 0 && t.L < 64
}

// tileIn returns the tile with t's level and number as wide as it is in a tree of size
// leaves; false if that tree has no such tile.
func tileIn(t tlog.Tile, size int64) (tlog.Tile, bool) {
	level := size >> (tileHeight * t.L)
	have := level - t.N<<tileHeight
	if t.N > level>>tileHeight || have <= 0 {
		return tlog.Tile{}, false
	}
	return tlog.Tile{H: tileHeight, L: t.L, N: t.N, W: int(min(have, tileWidth))}, true
}

// tileData is a tile with its hashes.
type tileData struct {
	tile tlog.Tile
	data []byte // tile.W hashes
}

// frontier is the right edge of a growing tree: at each level the tile that is not full
// yet. It is all that is needed to append leaves and to know the root.
type frontier struct {
	size   int64
	levels [][]byte             // the hashes of each level's unfinished tile, possibly none
	full   func(tileData) error // called with every tile that becomes full; it owns the data
}

// append adds one leaf hash.
func (f *frontier) append(h tlog.Hash) error {
	f.size++
	return f.push(0, h)
}

func (f *frontier) push(level int, h tlog.Hash) error {
	if level == len(f.levels) {
		f.levels = append(f.levels, nil)
	}
	if f.levels[level] == nil {
		f.levels[level] = make([]byte, 0, tileWidth*tlog.HashSize)
	}
	f.levels[level] = append(f.levels[level], h[:]...)
	if len(f.levels[level]) < tileWidth*tlog.HashSize {
		return nil
	}
	t := tileData{
		tile: tlog.Tile{H: tileHeight, L: level, N: (f.size - 1) >> (tileHeight * (level + 1)), W: tileWidth},
		data: f.levels[level],
	}
	f.levels[level] = nil
	if err := f.full(t); err != nil {
		return err
	}
	root, err := tileRoot(t)
	if err != nil {
		return err
	}
	return f.push(level+1, root)
}

// partial returns the unfinished tiles, lowest level first. They share f's memory.
func (f *frontier) partial() []tileData {
	var tiles []tileData
	for level, data := range f.levels {
		if len(data) > 0 {
			tiles = append(tiles, tileData{f.unfinished(level), data})
		}
	}
	return tiles
}

func (f *frontier) unfinished(level int) tlog.Tile {
	return tlog.Tile{
		H: tileHeight,
		L: level,
		N: f.size >> (tileHeight * (level + 1)),
		W: len(f.levels[level]) / tlog.HashSize,
	}
}

// tree returns the tree of everything appended so far.
func (f *frontier) tree() (tlog.Tree, error) {
	hash, err := tlog.TreeHash(f.size, tlog.HashReaderFunc(f.readHashes))
	return tlog.Tree{N: f.size, Hash: hash}, err
}

// readHashes serves TreeHash, which asks only for nodes inside the unfinished tiles.
func (f *frontier) readHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level := tlog.TileForIndex(tileHeight, index).L
		if level >= len(f.levels) || len(f.levels[level]) == 0 {
			return nil, fmt.Errorf("hash %d is not on the right edge of a tree of size %d", index, f.size)
		}
		h, err := tlog.HashFromTile(f.unfinished(level), f.levels[level], index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}

// clone returns a frontier that grows on its own.
func (f *frontier) clone(full func(tileData) error) *frontier {
	c := &frontier{size: f.size, full: full, levels: make([][]byte, len(f.levels))}
	for i, level := range f.levels {
		if len(level) > 0 {
			c.levels[i] = append(make([]byte, 0, tileWidth*tlog.HashSize), level...)
		}
	}
	return c
}

// tileRoot returns the hash of a full tile's subtree.
func tileRoot(t tileData) (tlog.Hash, error) {
	// HashFromTile goes up to the two nodes under the tile's root; the root itself is
	// already part of the tile above.
	level := tileHeight*(t.tile.L+1) - 1
	left, err1 := tlog.HashFromTile(t.tile, t.data, tlog.StoredHashIndex(level, 2*t.tile.N))
	right, err2 := tlog.HashFromTile(t.tile, t.data, tlog.StoredHashIndex(level, 2*t.tile.N+1))
	return tlog.NodeHash(left, right), errors.Join(err1, err2)
}

// hashAt returns the i-th hash of tile data.
func hashAt(data []byte, i int) tlog.Hash {
	return tlog.Hash(data[i*tlog.HashSize : (i+1)*tlog.HashSize])
}

// edge returns the partial tiles of a tree of size leaves: at most one a level.
func edge(size int64) []tlog.Tile {
	var tiles []tlog.Tile
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		n := size >> (tileHeight * level)
		if w := n % tileWidth; w > 0 {
			tiles = append(tiles, tlog.Tile{H: tileHeight, L: level, N: n / tileWidth, W: int(w)})
		}
	}
	return tiles
}

// obsolete returns the partial tiles of a tree of old leaves that are no part of one of
// grown leaves: a wider tile took their place.
func obsolete(old, grown int64) []tlog.Tile {
	var tiles []tlog.Tile
	for _, t := range edge(old) {
		if wider, ok := tileIn(t, grown); ok && wider.W > t.W {
			tiles = append(tiles, t)
		}
	}
	return tiles
}
