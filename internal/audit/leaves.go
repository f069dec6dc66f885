package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// ErrSource is returned when a Source breaks its promises: records out of order, outside
// what was asked, of another stream, or there on one reading and not on the other. Nothing
// was sealed; if it lasts, the stream is being changed while it is read.
var ErrSource = errors.New("stream reading is not consistent")

// sealable calls yield with the leaf hash of every sequence from..to, in order: of the record where
// there is one, of the absent leaf where there is none. An absent record is requested twice,
// because a leaf cannot be changed later. The watch sees each record, and the ends of each gap.
func (l *Log) sealable(ctx context.Context, from, to uint64, w *watch, yield func(tlog.Hash) error) error {
	next := from
	var gaps [][2]uint64
	var hasher leafHasher
	absent := func(until uint64) error {
		if next < until {
			gaps = append(gaps, [2]uint64{next, until - 1})
		}
		for ; next < until; next++ {
			if err := yield(AbsentHash(l.o.Stream, next)); err != nil {
				return err
			}
		}
		return nil
	}
	err := ReadRecords(ctx, l.o.Source, from, to, func(r Record) error {
		if r.Stream != l.o.Stream || r.Seq < next || r.Seq > to {
			return fmt.Errorf("%w: got %s/%d, want %s/%d to %d", ErrSource, r.Stream, r.Seq, l.o.Stream, next, to)
		}
		if err := absent(r.Seq); err != nil {
			return err
		}
		next++
		w.record(r)
		h, err := hasher.hash(r)
		if err != nil {
			return err
		}
		return yield(h)
	})
	if err != nil {
		return fmt.Errorf("reading stream %s from %d to %d: %w", l.o.Stream, from, to, err)
	}
	if err := absent(to + 1); err != nil {
		return err
	}
	if err := l.confirmGaps(ctx, gaps); err != nil {
		return err
	}
	return w.gaps(ctx, l, gaps)
}

func (l *Log) confirmGaps(ctx context.Context, gaps [][2]uint64) error {
	for _, gap := range gaps {
		err := l.o.Source.Records(ctx, gap[0], gap[1], func(r Record) error {
			return fmt.Errorf("%w: sequence %d was missing a moment ago", ErrSource, r.Seq)
		})
		if err != nil {
			return fmt.Errorf("reading stream %s again from %d to %d: %w", l.o.Stream, gap[0], gap[1], err)
		}
	}
	return nil
}

// leafHash returns the stored hash of leaf i of a tree of size leaves. It is not proved.
func (l *Log) leafHash(ctx context.Context, i, size int64) (tlog.Hash, error) {
	t, ok := tile.In(tlog.Tile{H: tile.Height, N: i >> tile.Height}, size)
	if !ok {
		return tlog.Hash{}, fmt.Errorf("leaf %d: %w", i, ErrNotSealed)
	}
	data, err := l.tile(ctx, t)
	if err != nil {
		return tlog.Hash{}, tileError(ctx, "reading leaf hash", err)
	}
	return tile.HashAt(data, int(i%tile.Width)), nil
}

// frontier loads the right edge of a tree and proves it.
func (l *Log) frontier(ctx context.Context, tree tlog.Tree) (*tile.Frontier, error) {
	f := &tile.Frontier{Size: tree.N}
	for _, t := range tile.Edge(tree.N) {
		data, err := l.tile(ctx, t)
		if err != nil {
			return nil, tileError(ctx, "loading the right edge of "+l.o.Origin, err)
		}
		for len(f.Levels) <= t.L {
			f.Levels = append(f.Levels, nil)
		}
		f.Levels[t.L] = data
	}
	for tree.N>>(tile.Height*len(f.Levels)) > 0 {
		f.Levels = append(f.Levels, nil)
	}
	got, err := f.Tree()
	if err != nil {
		return nil, fmt.Errorf("loading the right edge of %s: %w", l.o.Origin, err)
	}
	if got != tree {
		return nil, fmt.Errorf("loading the right edge of %s: %w", l.o.Origin, ErrTile)
	}
	return f, nil
}
