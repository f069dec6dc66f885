package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// sealBatch is the largest number of leaves that one checkpoint adds. It keeps a stage, whose
// tiles are 32 bytes a leaf, under 600 KiB, which fits a NATS message of the default size.
const sealBatch = 16384

// maxConflicts is how often in a row a sealing may lose to other sealers before it says so.
const maxConflicts = 20

// SealerOptions are what a Sealer needs beside its log.
type SealerOptions struct {
	Signer note.Signer // its verifier must be among the log's keys

	// Known are signed checkpoints from outside the store (the local file's last one, an
	// anchor's) that the store's must extend. They are what makes a rollback visible to a
	// freshly started process.
	Known [][]byte

	// Odd is called once, while it is sealed, with each record whose time contradicts those before
	// it, the clock of this machine or what Inspect says, as Checks.Inspect, and with each gap that
	// no limit explains. Nil means that nothing is looked at. They are sealed all the same: a log
	// holds what the stream does. Both are called with the sealer locked.
	Odd     func(Fault)
	Inspect func(Record) error
	// Limited is true if limits may remove the oldest records.
	Limited bool

	// Rebuilt is called when lost tiles were rebuilt from the records; nil for no calls.
	Rebuilt func(Rebuilt)
}

// Sealer advances a log. Any number of sealers, in any number of processes, may work on one
// log at once: the compare-and-set of the checkpoint lets one win each round, and the others
// continue from what the winner made. Its methods may be called concurrently.
//
// A leaf is sealed once its checkpoint is stored; before that its tiles are, in a stage. A
// crash at any point leaves a log that the next Seal continues from, with the same leaves.
type Sealer struct {
	log         *Log
	storage     Storage
	checkpoints CheckpointStore
	signer      note.Signer
	batch       int64

	mu      sync.Mutex
	refused error        // set once, when the log was seen to contradict itself
	known   []Checkpoint // what the next loaded checkpoint must extend
	head    Checkpoint   // the newest one this sealer has accepted
	rev     uint64
	front   *tile.Frontier // nil when it has to be loaded again
	litter  []tlog.Tree    // of lost rounds, whose stages are to be removed
	watch   watch

	rebuilder rebuilder
}

// NewSealer checks the options. The store is first read by Seal.
func NewSealer(l *Log, o SealerOptions) (*Sealer, error) {
	if o.Signer == nil || o.Signer.Name() != l.o.Origin {
		return nil, fmt.Errorf("sealer of %s needs a signer with that name", l.o.Origin)
	}
	probe := note.Signature{Name: o.Signer.Name(), Hash: o.Signer.KeyHash()}
	if !l.o.Keys.isLog(probe, l.o.Origin) {
		return nil, fmt.Errorf("log %s: the signer's own verifier key is not among the log keys", l.o.Origin)
	}
	storage, ok1 := l.o.Storage.(Storage)
	checkpoints, ok2 := l.o.Checkpoints.(CheckpointStore)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("log %s can only be read: its stores cannot be written to", l.o.Origin)
	}
	s := &Sealer{
		log: l, storage: storage, checkpoints: checkpoints, signer: o.Signer, batch: sealBatch,
		watch: watch{o: o, stream: l.o.Stream}, rebuilder: rebuilder{done: o.Rebuilt},
	}
	for _, signed := range o.Known {
		cp, err := l.Open(signed)
		if err != nil {
			return nil, fmt.Errorf("known checkpoint of %s: %w", l.o.Origin, err)
		}
		s.known = append(s.known, cp)
	}
	return s, nil
}

// Seal seals everything the stream holds at the time of the call and returns the newest
// checkpoint, its own or another sealer's. With nothing new it returns the one there is; a
// log without any gets one, of the empty tree if need be.
//
// After *ForkError or ErrRewound the sealer signs nothing more: every later call returns
// the same error. After any other error the next call starts afresh.
func (s *Sealer) Seal(ctx context.Context) (Checkpoint, error) {
	return s.SealSome(ctx, math.MaxInt64)
}

// SealSome is Seal of at most so many more leaves.
func (s *Sealer) SealSome(ctx context.Context, most int64) (Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return Checkpoint{}, s.refused
	}
	cp, err := s.seal(ctx, most)
	if errors.Is(err, ErrTile) {
		if err = s.repair(ctx, err); err == nil {
			cp, err = s.seal(ctx, most)
		}
	}
	if err != nil {
		s.front = nil
		if fork := new(ForkError); errors.As(err, &fork) || errors.Is(err, ErrRewound) {
			s.refused = err
		}
		return Checkpoint{}, err
	}
	return cp, nil
}

func (s *Sealer) seal(ctx context.Context, most int64) (Checkpoint, error) {
	last, err := s.log.o.Source.Last(ctx)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("asking stream %s for its last sequence: %w", s.log.o.Stream, err)
	}
	there := s.log.Leaves(last)
	goal := int64(-1)
	conflicts := 0
	for {
		if err := s.catchUp(ctx, there); err != nil {
			return Checkpoint{}, err
		}
		if err := s.scrub(ctx); err != nil {
			return Checkpoint{}, err
		}
		if goal < 0 {
			goal = s.head.Tree.N + min(most, max(there-s.head.Tree.N, 0))
		}
		if s.head.Note != nil && s.head.Tree.N >= goal {
			return s.head, nil
		}
		err := s.advance(ctx, min(goal, s.head.Tree.N+s.batch))
		switch {
		case err == nil:
			conflicts = 0
		case !errors.Is(err, ErrConflict):
			return Checkpoint{}, err
		default:
			if conflicts++; conflicts > maxConflicts {
				return Checkpoint{}, fmt.Errorf("sealing %s: other programs stored a checkpoint first %d times: %w", s.log.o.Origin, conflicts, err)
			}
		}
	}
}

// catchUp makes head the stored checkpoint, after proving that it extends everything known,
// and front its right edge.
func (s *Sealer) catchUp(ctx context.Context, streamLeaves int64) error {
	cp, rev, err := s.log.load(ctx)
	if err != nil {
		return err
	}
	if s.front == nil || cp.Tree != s.head.Tree {
		if err := s.accept(ctx, cp); err != nil {
			return err
		}
	}
	if cp.Tree.N > streamLeaves {
		if err := s.checkStream(ctx, cp.Tree.N); err != nil {
			return err
		}
	}
	s.head, s.rev, s.known = cp, rev, []Checkpoint{cp}
	return s.sweep(ctx)
}

func (s *Sealer) accept(ctx context.Context, cp Checkpoint) error {
	s.front = nil
	if err := s.finish(ctx, cp.Tree); err != nil {
		return err
	}
	for _, known := range s.known {
		if err := s.log.Extends(ctx, cp, known); err != nil {
			return err
		}
	}
	front, err := s.log.frontier(ctx, cp.Tree)
	if err != nil {
		return err
	}
	if err := s.checkStream(ctx, cp.Tree.N); err != nil {
		return err
	}
	s.front = front
	return nil
}

// finish publishes the tiles of a sealing that died, or is still busy, after its checkpoint.
func (s *Sealer) finish(ctx context.Context, tree tlog.Tree) error {
	staged, err := s.log.readStage(ctx, tree)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := staged.prove(ctx, s.log, tree); err != nil {
		return err
	}
	if err := staged.publish(ctx, s.storage); err != nil {
		return err
	}
	return s.remove(ctx, stageName(tree))
}

// checkStream compares the last sealed leaf with the stream, as far as both still exist.
func (s *Sealer) checkStream(ctx context.Context, sealedLeaves int64) error {
	if sealedLeaves == 0 {
		return nil
	}
	s.watch.older = 0
	// Asked for anew: another sealer may have sealed messages younger than our last question.
	last, err := s.log.o.Source.Last(ctx)
	if err != nil {
		return fmt.Errorf("asking stream %s for its last sequence: %w", s.log.o.Stream, err)
	}
	seq := s.log.Seq(sealedLeaves - 1)
	if last < seq {
		return fmt.Errorf("stream %s ends at %d, but %d is sealed: %w", s.log.o.Stream, last, seq, ErrRewound)
	}
	sealed, err := s.log.leafHash(ctx, sealedLeaves-1, sealedLeaves)
	if err != nil {
		return err
	}
	return s.log.o.Source.Records(ctx, seq, seq, func(r Record) error {
		if h, err := r.LeafHash(); err != nil || h != sealed {
			return fmt.Errorf("stream %s, sequence %d differs from the sealed record: %w", s.log.o.Stream, seq, ErrRewound)
		}
		s.watch.last(r)
		return nil
	})
}

// advance seals the leaves up to size as one checkpoint.
func (s *Sealer) advance(ctx context.Context, size int64) error {
	old := s.head.Tree
	front, staged, err := s.grow(ctx, size)
	if err != nil {
		return err
	}
	tree, err := front.Tree()
	if err != nil {
		return fmt.Errorf("computing root of %s: %w", s.log.o.Origin, err)
	}
	if err := s.proveGrowth(ctx, old, tree, staged); err != nil {
		return err
	}
	if len(staged) > 0 {
		if err := s.storage.Put(ctx, stageName(tree), staged.encode()); err != nil {
			return fmt.Errorf("writing %s: %w", stageName(tree), err)
		}
	}
	cp, err := Sign(s.log.o.Origin, tree, s.signer)
	if err != nil {
		return err
	}
	rev, err := s.checkpoints.Store(ctx, cp.Note, s.rev)
	if err != nil {
		s.litter = append(s.litter, tree)
		return fmt.Errorf("storing checkpoint of %s: %w", s.log.o.Origin, err)
	}
	s.head, s.rev, s.known, s.front = cp, rev, []Checkpoint{cp}, front
	return s.publishTiles(ctx, old, tree, staged)
}

// grow reads the leaves from the head up to size and returns the frontier after them and
// the tiles that they add.
func (s *Sealer) grow(ctx context.Context, size int64) (*tile.Frontier, stage, error) {
	var staged stage
	from := s.front.Size
	front := s.front.Clone(func(t tile.Data) error {
		staged = append(staged, t)
		return nil
	})
	if size > from {
		if err := s.log.sealable(ctx, s.log.Seq(from), s.log.Seq(size-1), &s.watch, front.Append); err != nil {
			return nil, nil, err
		}
	}
	for _, t := range front.Partial() {
		if from>>(tile.Height*t.Tile.L) != size>>(tile.Height*t.Tile.L) {
			staged = append(staged, tile.Data{Tile: t.Tile, Hashes: append([]byte(nil), t.Hashes...)})
		}
	}
	return front, staged, nil
}

// proveGrowth is the last gate before the signature: the new tree, out of the very tiles
// that will be stored, must contain the old one.
func (s *Sealer) proveGrowth(ctx context.Context, old, tree tlog.Tree, staged stage) error {
	if err := staged.prove(ctx, s.log, tree); err != nil {
		return err
	}
	if old.N == 0 || old.N == tree.N {
		return nil
	}
	proof, err := s.log.proveTree(ctx, tree, old.N, staged)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return fmt.Errorf("sealing %s: new tree does not extend the old one: %w: %v", s.log.o.Origin, ErrTile, err)
	}
	return nil
}

// publishTiles gives the tiles of a stored checkpoint their places and clears away what they
// replace. Its failure loses nothing: finish does the same from the stage.
func (s *Sealer) publishTiles(ctx context.Context, old, tree tlog.Tree, staged stage) error {
	if err := staged.publish(ctx, s.storage); err != nil {
		return err
	}
	for _, t := range tile.Obsolete(old.N, tree.N) {
		if err := s.remove(ctx, tile.Name(t)); err != nil {
			return err
		}
	}
	if len(staged) == 0 {
		return nil
	}
	return s.remove(ctx, stageName(tree))
}

// sweep removes the stages of rounds that we lost. A stage is safe to remove when the log
// has reached its size: from then on no checkpoint can come to need it. Before that, another
// sealer may be about to store a checkpoint of that very tree.
func (s *Sealer) sweep(ctx context.Context) error {
	var waiting []tlog.Tree
	for _, tree := range s.litter {
		if tree.N > s.head.Tree.N {
			waiting = append(waiting, tree)
			continue
		}
		if err := s.remove(ctx, stageName(tree)); err != nil {
			return err
		}
	}
	s.litter = waiting
	return nil
}

func (s *Sealer) remove(ctx context.Context, name string) error {
	if err := s.storage.Delete(ctx, name); err != nil {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}
