package verification

import (
	"context"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// replay grows a tree again from level-0 tiles.
type replay struct {
	front *tile.Frontier
	marks []int64             // sizes at which to note the root, ascending
	roots map[int64]tlog.Hash // the roots noted
	upper []tile.Data         // the tiles above level 0
}

// newReplay returns a replay that notes the root at the size of each of these.
func newReplay(noted []signedKept) *replay {
	r := &replay{roots: make(map[int64]tlog.Hash)}
	for _, k := range noted {
		r.marks = append(r.marks, k.tree.N)
	}
	r.marks = slices.Compact(r.marks)
	r.front = &tile.Frontier{Full: func(t tile.Data) error {
		if t.Tile.L > 0 {
			r.upper = append(r.upper, t)
		}
		return nil
	}}
	return r
}

// add appends the leaves of one level-0 tile.
func (r *replay) add(data []byte) error {
	for i := range len(data) / tlog.HashSize {
		if err := r.mark(); err != nil {
			return err
		}
		if err := r.front.Append(tile.HashAt(data, i)); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) mark() error {
	for len(r.marks) > 0 && r.marks[0] == r.front.Size {
		tree, err := r.front.Tree()
		if err != nil {
			return err
		}
		r.roots[tree.N] = tree.Hash
		r.marks = r.marks[1:]
	}
	return nil
}

// end notes what is left and returns the whole tree.
func (r *replay) end() (tlog.Tree, error) {
	if err := r.mark(); err != nil {
		return tlog.Tree{}, err
	}
	for _, t := range r.front.Partial() {
		if t.Tile.L > 0 {
			r.upper = append(r.upper, t)
		}
	}
	return r.front.Tree()
}

// mismatch is a level-0 tile that differs between the storage and the records.
type mismatch struct {
	n       int64
	stored  []byte // nil when it is missing or malformed
	why     string // then, which of the two
	derived []byte // made from the records; where there is none, from stored
	absent  bool   // neither stored nor of any record
}

// candidate is the version to try first: a changed record is more likely than a changed tile.
func (d mismatch) candidate() []byte {
	if d.stored == nil {
		return d.derived
	}
	return d.stored
}

// verdict says which version of the mismatched tiles is right.
type verdict struct {
	replay     *replay
	reproduced bool // the replay ends in the tree that is compared with
	pick       func(mismatch) []byte
}

// resolve looks for versions of the mismatched tiles that reproduce the tree: the stored ones,
// the ones derived from the records, or for each the one that the tile above it names.
func (v *verification) resolve(ctx context.Context, p *leafPass) (verdict, error) {
	tree, err := p.replay.end()
	if err != nil {
		return verdict{}, err
	}
	// Where two were signed for this size, it is compared with the one it is of.
	for _, k := range v.good {
		if k.tree == tree {
			v.base = tree
		}
	}
	first := verdict{p.replay, tree == v.base, mismatch.candidate}
	if first.reproduced || len(p.mismatches) == 0 || p.overflow {
		return first, nil
	}
	parents, err := v.pickByParent(ctx, p)
	if err != nil {
		return verdict{}, err
	}
	picks := []func(mismatch) []byte{
		func(d mismatch) []byte { return d.derived },
		func(d mismatch) []byte { return parents(d, d.candidate()) },
		func(d mismatch) []byte { return parents(d, d.derived) },
	}
	for _, pick := range picks {
		r, tree, err := v.replayWith(ctx, p, pick)
		if err != nil {
			return verdict{}, err
		}
		if tree == v.base {
			return verdict{r, true, pick}, nil
		}
	}
	return first, nil
}

func (v *verification) replayWith(ctx context.Context, p *leafPass, pick func(mismatch) []byte) (*replay, tlog.Tree, error) {
	mismatched := make(map[int64]mismatch)
	for _, d := range p.mismatches {
		mismatched[d.n] = d
	}
	r := newReplay(v.noted())
	for n := int64(0); n<<tile.Height < v.base.N; n++ {
		if err := ctx.Err(); err != nil {
			return nil, tlog.Tree{}, err
		}
		data, _, err := v.leafTile(ctx, n)
		if d, ok := mismatched[n]; ok {
			data, err = pick(d), nil
		}
		if err == nil {
			err = r.add(data)
		}
		if err != nil {
			return nil, tlog.Tree{}, err
		}
	}
	tree, err := r.end()
	return r, tree, err
}

// pickByParent returns a func that picks the version of a tile whose root stands in the
// stored tile above, and otherwise the one given.
func (v *verification) pickByParent(ctx context.Context, p *leafPass) (func(d mismatch, otherwise []byte) []byte, error) {
	named := make(map[int64][]byte)
	for _, d := range p.mismatches {
		above, ok := tile.In(tlog.Tile{H: tile.Height, L: 1, N: d.n >> tile.Height}, v.base.N)
		if !ok || len(d.derived) < tile.Width*tlog.HashSize {
			continue
		}
		data, why, err := v.log.StoredTile(ctx, above)
		if err != nil {
			return nil, err
		}
		i := int(d.n % tile.Width)
		if why != "" || i >= above.W {
			continue
		}
		for _, version := range [][]byte{d.candidate(), d.derived} {
			root, err := tile.Root(tile.Data{Tile: tlog.Tile{H: tile.Height, N: d.n, W: tile.Width}, Hashes: version})
			if err == nil && root == tile.HashAt(data, i) {
				named[d.n] = version
				break
			}
		}
	}
	return func(d mismatch, otherwise []byte) []byte {
		if version, ok := named[d.n]; ok {
			return version
		}
		return otherwise
	}, nil
}

// leafTile reads level-0 tile n of the tree that is compared with. When the storage has
// none that is usable, data is nil and why says so.
func (v *verification) leafTile(ctx context.Context, n int64) (data []byte, why string, err error) {
	t, _ := tile.In(tlog.Tile{H: tile.Height, N: n}, v.base.N)
	return v.log.StoredTile(ctx, t)
}
