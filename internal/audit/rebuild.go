package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// Lister is a Storage that tells cheaply what it has. A Sealer over one finds lost tiles before
// somebody needs them.
type Lister interface {
	// List calls yield with the name and the size of everything that can be read.
	List(ctx context.Context, yield func(name string, size int64)) error
}

// Rebuilt is what a Sealer did about lost tiles.
type Rebuilt struct {
	Tiles int // stored again
	// Lost are tiles of leaf hashes that neither the storage nor the records have any more. Their
	// records, if they come back from a backup, cannot be proved; everything else can.
	Lost int
}

// errUnbuildable is returned where the records are not all there any more.
var errUnbuildable = errors.New("the records that the stream still has do not reproduce the signed root, so the tiles cannot be " +
	"rebuilt from them: restore the bucket TILES or the whole store from a backup, or begin new logs with another audit.name")

// rebuildPause is the shortest time between two searches for lost tiles. A search takes one
// hundredth of a processor at most.
const (
	rebuildPause = 10 * time.Second
	rebuildShare = 100
)

// rebuilder is when a Sealer searches for lost tiles, and what it knows of them.
type rebuilder struct {
	done  func(Rebuilt)
	due   time.Time // no search before,
	retry time.Time // and no rebuilding after one that failed
	lost  int       // tiles that cannot be rebuilt
}

// scrub searches the storage for lost tiles of the newest checkpoint, and has them rebuilt.
func (s *Sealer) scrub(ctx context.Context) error {
	list, ok := s.storage.(Lister)
	if !ok || time.Now().Before(s.rebuilder.due) {
		return nil
	}
	began := time.Now()
	defer func() { s.rebuilder.due = rested(began) }()
	sizes := map[string]int64{}
	if err := list.List(ctx, func(name string, size int64) { sizes[name] = size }); err != nil {
		return fmt.Errorf("listing the tiles of %s: %w", s.log.o.Origin, err)
	}
	lost := 0
	for _, t := range tlog.NewTiles(tile.Height, 0, s.head.Tree.N) {
		if size, ok := sizes[tile.Name(t)]; !ok || size != int64(t.W)*tlog.HashSize {
			lost++
		}
	}
	if lost <= s.rebuilder.lost {
		return nil
	}
	return s.rebuild(ctx)
}

// rested is when work that began then may begin again.
func rested(began time.Time) time.Time {
	return time.Now().Add(max(rebuildPause, rebuildShare*time.Since(began)))
}

// repair rebuilds tiles after a sealing that failed because of them, unless that has just failed.
func (s *Sealer) repair(ctx context.Context, failed error) error {
	if time.Now().Before(s.rebuilder.retry) {
		return failed
	}
	began := time.Now()
	s.front = nil
	if err := s.rebuild(ctx); err != nil {
		if ctx.Err() == nil {
			s.rebuilder.retry = rested(began)
		}
		return fmt.Errorf("%w; %w", failed, err)
	}
	return nil
}

// rebuild stores the lost tiles of the newest checkpoint again. It believes the stored tiles first,
// and the records alone if these do not lead to the signed root. Nothing is stored before the root
// is reproduced.
func (s *Sealer) rebuild(ctx context.Context) error {
	cp, _, err := s.log.load(ctx)
	if err != nil || cp.Tree.N == 0 {
		return err
	}
	for _, distrust := range []bool{false, true} {
		r := &rebuilding{log: s.log, tree: cp.Tree, distrust: distrust, above: map[tlog.Tile][]byte{}, derived: map[int64][]byte{}}
		done, err := r.derive(ctx)
		if err != nil {
			return fmt.Errorf("rebuilding the tiles of %s: %w", s.log.o.Origin, err)
		}
		if !done {
			continue
		}
		if err := r.store(ctx, s.storage); err != nil {
			return fmt.Errorf("rebuilding the tiles of %s: %w", s.log.o.Origin, err)
		}
		s.rebuilder.lost = r.result.Lost
		if s.rebuilder.done != nil && r.result.Tiles > 0 {
			s.rebuilder.done(r.result)
		}
		if err = s.finish(ctx, cp.Tree); errors.Is(err, ErrTile) {
			err = s.remove(ctx, stageName(cp.Tree)) // a damaged stage, of tiles that have their places
		}
		return err
	}
	return fmt.Errorf("rebuilding the tiles of %s: %w", s.log.o.Origin, errUnbuildable)
}

// maxDerived is how many derived tiles of leaf hashes are held until the root is reproduced, 32 MiB
// of them. The records of others are read again then.
var maxDerived = 4096

// rebuilding derives the tiles of one tree. It holds the tiles above the leaf hashes, one hash for
// 256 records, and some of the others.
type rebuilding struct {
	log      *Log
	tree     tlog.Tree
	distrust bool // of the stored tiles
	front    *tile.Frontier
	above    map[tlog.Tile][]byte // the tiles above level 0, and the unfinished one of level 0
	derived  map[int64][]byte     // level-0 tiles to be stored,
	lost     []int64              // and the numbers of those that were too many
	result   Rebuilt
}

// derive grows the tree again, and reports whether it is the signed one.
func (r *rebuilding) derive(ctx context.Context) (bool, error) {
	r.front = &tile.Frontier{Full: func(t tile.Data) error {
		if t.Tile.L > 0 {
			r.above[t.Tile] = t.Hashes
		}
		return nil
	}}
	from := int64(0) // the first tile of those to be derived next
	tiles := (r.tree.N + tile.Width - 1) >> tile.Height
	for n := int64(0); n < tiles && !r.distrust; n++ {
		data, _, err := r.stored(ctx, 0, n)
		if err != nil {
			return false, err
		}
		if data == nil {
			continue
		}
		if err := r.deriveTiles(ctx, from, n); err != nil {
			return false, err
		}
		if err := r.grow(data); err != nil {
			return false, err
		}
		from = n + 1
	}
	if err := r.deriveTiles(ctx, from, tiles); err != nil {
		return false, err
	}
	for _, t := range r.front.Partial() {
		r.above[t.Tile] = t.Hashes
	}
	tree, err := r.front.Tree()
	return err == nil && tree == r.tree, err
}

func (r *rebuilding) grow(data []byte) error {
	for i := range len(data) / tlog.HashSize {
		if err := r.front.Append(tile.HashAt(data, i)); err != nil {
			return err
		}
	}
	return nil
}

// deriveTiles adds the tiles from..to-1 by their records.
func (r *rebuilding) deriveTiles(ctx context.Context, from, to int64) error {
	return r.read(ctx, from, to, func(n int64, derived []byte, gaps []int) error {
		stored, root, err := r.stored(ctx, 0, n)
		if err != nil {
			return err
		}
		fill(derived, stored, gaps)
		if root != nil && !r.distrust {
			if own, err := tile.Root(tile.Data{Tile: tlog.Tile{H: tile.Height, N: n, W: tile.Width}, Hashes: derived}); err != nil || own != *root {
				r.result.Lost++
				return r.front.Skip(*root)
			}
		}
		switch {
		case bytes.Equal(stored, derived):
		case len(r.derived) < maxDerived:
			r.derived[n] = derived
		default:
			r.lost = append(r.lost, n)
		}
		return r.grow(derived)
	})
}

// fill takes the hashes of records that are not there from the stored tile, if there is one.
func fill(derived, stored []byte, gaps []int) {
	for _, at := range gaps {
		if stored != nil {
			copy(derived[at*tlog.HashSize:], stored[at*tlog.HashSize:(at+1)*tlog.HashSize])
		}
	}
}

// stored returns a tile as it is stored, or nil, and of a full tile of leaf hashes that is not
// there, its root in the stored tile above.
func (r *rebuilding) stored(ctx context.Context, level int, n int64) (data []byte, root *tlog.Hash, err error) {
	t, _ := tile.In(tlog.Tile{H: tile.Height, L: level, N: n}, r.tree.N)
	if data, _, err = r.log.StoredTile(ctx, t); data != nil || err != nil || level > 0 || t.W < tile.Width {
		return data, nil, err
	}
	above, _, err := r.stored(ctx, 1, n>>tile.Height)
	if above != nil {
		h := tile.HashAt(above, int(n%tile.Width))
		root = &h
	}
	return nil, root, err
}

// read calls yield with the leaf hashes of the tiles from..to-1, and which of them stand for no
// record.
func (r *rebuilding) read(ctx context.Context, from, to int64, yield func(n int64, derived []byte, gaps []int) error) error {
	next, end := from<<tile.Height, min(to<<tile.Height, r.tree.N)
	if next >= end {
		return nil
	}
	var derived []byte
	var gaps []int
	add := func(h tlog.Hash) error {
		derived = append(derived, h[:]...)
		if next++; next%tile.Width > 0 && next < end {
			return nil
		}
		err := yield((next-1)>>tile.Height, derived, gaps)
		derived, gaps = nil, nil
		return err
	}
	absent := func(until int64) error {
		for next < until {
			gaps = append(gaps, int(next%tile.Width))
			if err := add(AbsentHash(r.log.o.Stream, r.log.Seq(next))); err != nil {
				return err
			}
		}
		return nil
	}
	err := ReadHashed(ctx, r.log.o.Source, r.log.Seq(next), r.log.Seq(end-1), Checks{}, func(h Hashed) error {
		i, ok := LeafIndex(r.log.o.First, h.Seq)
		if !ok || i < next || i >= end {
			return fmt.Errorf("%w: sequence %d is out of order", ErrSource, h.Seq)
		}
		if err := absent(i); err != nil {
			return err
		}
		return add(h.Hash)
	})
	if err != nil {
		return err
	}
	return absent(end)
}

// store stores what is lost, of the tree that derive has reproduced.
func (r *rebuilding) store(ctx context.Context, storage Storage) error {
	put := func(t tlog.Tile, data []byte) error {
		r.result.Tiles++
		return stage{{Tile: t, Hashes: data}}.publish(ctx, storage)
	}
	for t, data := range r.above {
		stored, _, err := r.log.StoredTile(ctx, t)
		if err == nil && !bytes.Equal(stored, data) {
			err = put(t, data)
		}
		if err != nil {
			return err
		}
	}
	for n, data := range r.derived {
		if len(data) < tile.Width*tlog.HashSize {
			continue // among those above
		}
		if err := put(tlog.Tile{H: tile.Height, N: n, W: tile.Width}, data); err != nil {
			return err
		}
	}
	for len(r.lost) > 0 {
		from, run := r.lost[0], 1
		for run < len(r.lost) && r.lost[run] == from+int64(run) {
			run++
		}
		r.lost = r.lost[run:]
		if err := r.read(ctx, from, from+int64(run), func(n int64, derived []byte, gaps []int) error {
			data, err := r.again(ctx, n, derived, gaps)
			if err != nil || data == nil {
				return err
			}
			return put(tlog.Tile{H: tile.Height, N: n, W: tile.Width}, data)
		}); err != nil {
			return err
		}
	}
	return nil
}

// again completes a tile of leaf hashes that was derived for the second time, and compares it with
// the tile above it, in case the records changed meanwhile; nil for the unfinished tile.
func (r *rebuilding) again(ctx context.Context, n int64, derived []byte, gaps []int) ([]byte, error) {
	if len(derived) < tile.Width*tlog.HashSize {
		return nil, nil
	}
	stored, _, err := r.stored(ctx, 0, n)
	if err != nil {
		return nil, err
	}
	fill(derived, stored, gaps)
	root, err := tile.Root(tile.Data{Tile: tlog.Tile{H: tile.Height, N: n, W: tile.Width}, Hashes: derived})
	above, _ := tile.In(tlog.Tile{H: tile.Height, L: 1, N: n >> tile.Height}, r.tree.N)
	if err != nil || root != tile.HashAt(r.above[above], int(n%tile.Width)) {
		return nil, fmt.Errorf("%w: the records of tile %d changed meanwhile", ErrSource, n)
	}
	return derived, nil
}

// LeafTile returns the leaf hashes of a tree around a sequence, and the sequence of the first. They
// are not proved.
func (l *Log) LeafTile(ctx context.Context, tree tlog.Tree, seq uint64) (first uint64, hashes []tlog.Hash, err error) {
	i, ok := LeafIndex(l.o.First, seq)
	if !ok {
		return 0, nil, ErrNoRecord
	}
	t, ok := tile.In(tlog.Tile{H: tile.Height, N: i >> tile.Height}, tree.N)
	if !ok {
		return 0, nil, ErrNotSealed
	}
	data, err := l.tile(ctx, t)
	for i := range len(data) / tlog.HashSize {
		hashes = append(hashes, tile.HashAt(data, i))
	}
	return l.Seq(t.N << tile.Height), hashes, tileError(ctx, "reading leaf hashes", err)
}

// IsAbsent reports whether a leaf hash says that the sequence had no record when it was sealed.
func (l *Log) IsAbsent(hash tlog.Hash, seq uint64) bool { return hash == AbsentHash(l.o.Stream, seq) }
