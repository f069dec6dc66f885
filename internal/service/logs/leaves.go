package logs

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/publish"
)

// tailRecords and tailBytes bound the records at the end of each log that a start compares, which
// it reads tailStep at a time.
const (
	tailRecords = 256
	tailBytes   = 16 << 20
	tailStep    = 32
)

// sealedLeaves are the leaf hashes of a signed tree, of which one tile is in memory.
type sealedLeaves struct {
	log    *audit.Log
	tree   tlog.Tree
	first  uint64
	hashes []tlog.Hash
	none   publish.Span // of which no tile tells
}

// of returns the leaf hash of a sequence; false if no tile has it.
func (s *sealedLeaves) of(ctx context.Context, seq uint64) (hash tlog.Hash, ok bool, err error) {
	if seq >= s.none.First && seq <= s.none.Last {
		return hash, false, nil
	}
	if seq < s.first || seq >= s.first+uint64(len(s.hashes)) {
		s.first, s.hashes, err = s.log.LeafTile(ctx, s.tree, seq)
		if errors.Is(err, audit.ErrTile) || errors.Is(err, audit.ErrNotSealed) {
			s.none = publish.Span{First: seq, Last: seq | 0xff} // the next begins with a multiple of 256, or behind it
			return hash, false, nil
		}
		if err != nil || seq < s.first || seq >= s.first+uint64(len(s.hashes)) {
			return hash, false, err
		}
	}
	return s.hashes[seq-s.first], true, nil
}

// present leaves out what had no record when it was sealed.
func (s *sealedLeaves) present(ctx context.Context, gone []publish.Span) (left []publish.Span, err error) {
	for _, span := range gone {
		for seq := span.First; seq <= span.Last; seq++ {
			hash, ok, err := s.of(ctx, seq)
			if err != nil {
				return nil, err
			}
			if !ok || !s.log.IsAbsent(hash, seq) {
				left = publish.AppendSpan(left, seq)
			}
		}
	}
	return left, nil
}

// replaced returns which of the records that were sealed last are others now.
func (s *sealedLeaves) replaced(ctx context.Context) (others []publish.Span, err error) {
	source, left := s.log.Options().Source, tailBytes
	for end := uint64(s.tree.N); end > 0 && left > 0 && uint64(s.tree.N)-end < tailRecords; end -= min(end, tailStep) {
		err := source.Records(ctx, end-min(end, tailStep)+1, end, func(r audit.Record) error {
			left -= len(r.Data)
			hash, ok, err := s.of(ctx, r.Seq)
			if now, wrong := r.LeafHash(); ok && (wrong != nil || now != hash) {
				others = append(others, publish.Span{First: r.Seq, Last: r.Seq})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return others, nil
}
