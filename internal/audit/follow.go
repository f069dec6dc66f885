package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// Know tells the sealer of a signed checkpoint that is kept elsewhere, such as at an anchor:
// from the next Seal or Follow on, the stored one must extend it too. The errors are
// ErrCheckpoint and ErrSignature, for what is none of this log's and proves nothing.
func (s *Sealer) Know(signed []byte) error {
	cp, err := s.log.Open(signed)
	if err != nil {
		return fmt.Errorf("known checkpoint of %s: %w", s.log.o.Origin, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = append(s.known, cp)
	s.front = nil // so that known ones are compared
	return nil
}

// KnowLargest is Know of the largest of some checkpoints that can be known, of those that
// say to have at least so many leaves; the others may be anything: who can write where they
// are kept can put some behind it. It returns its size, or atLeast if there is none, and
// what is wrong with one that is no checkpoint, or says to be larger.
func (s *Sealer) KnowLargest(signed [][]byte, atLeast int64) (largest int64, strange error) {
	var claimed []Checkpoint
	for _, note := range signed {
		cp, err := ReadCheckpoint(note)
		if err == nil && cp.Tree.N >= atLeast {
			claimed = append(claimed, cp)
		}
		strange = cmp.Or(strange, err)
	}
	slices.SortStableFunc(claimed, func(a, b Checkpoint) int { return cmp.Compare(b.Tree.N, a.Tree.N) })
	known := false
	for _, cp := range claimed {
		if known && cp.Tree.N < largest {
			break
		}
		if err := s.Know(cp.Note); err != nil {
			strange = cmp.Or(strange, err)
			continue
		}
		largest, known = cp.Tree.N, true
	}
	if !known {
		largest = atLeast
	}
	return largest, strange
}

// Follow proves, as Seal does before it adds anything, that the stored checkpoint extends
// every one this sealer knows of and that the stream still holds what it sealed last, and
// returns it. It signs nothing: it is for replicas that leave the sealing to another. A log
// without a checkpoint gives one of the empty tree that has no note.
//
// After *ForkError or ErrRewound neither Seal nor Follow goes on, as for Seal.
func (s *Sealer) Follow(ctx context.Context) (Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return Checkpoint{}, s.refused
	}
	last, err := s.log.o.Source.Last(ctx)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("asking stream %s for its last sequence: %w", s.log.o.Stream, err)
	}
	if err := s.catchUp(ctx, s.log.Leaves(last)); err != nil {
		s.front = nil
		if fork := new(ForkError); errors.As(err, &fork) || errors.Is(err, ErrRewound) {
			s.refused = err
		}
		return Checkpoint{}, err
	}
	return s.head, nil
}
