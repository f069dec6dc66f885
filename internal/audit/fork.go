package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrRewound is returned by a Sealer when the stream no longer holds what was sealed: it
// ends before the sealed leaves do, or its last sealed message is another one. A backup was
// restored, or the stream was rewritten. Nothing is signed any more; verify the log, and
// start again only with the stream put right, or with a new log.
var ErrRewound = errors.New("stream was rewound or rewritten after it was sealed")

// ForkError is the proof that a log was forked or rolled back: two checkpoints that cannot
// both be of one append-only log. Both carry their signatures; keep them. With a Witness, Known
// has its size alone.
type ForkError struct {
	Known Checkpoint // what this side had accepted before
	Found Checkpoint // what the store holds now; its Note is nil when it holds none

	// Witness is the name of the witness by whose word this is a fork; empty if both checkpoints
	// prove it. A witness tells the size of the tree that it has cosigned and nothing else.
	Witness string
}

func (e *ForkError) Error() string {
	what := "rolled back"
	if e.Found.Tree.N >= e.Known.Tree.N {
		what = "forked"
	}
	if e.Witness != "" {
		return fmt.Sprintf("log %s was %s: witness %s has cosigned a tree of size %d, which the stored checkpoint of size %d with root %s does not extend; "+
			"stop sealing, and find out which program wrote the second", e.Known.Origin, what, e.Witness, e.Known.Tree.N, e.Found.Tree.N, e.Found.Tree.Hash)
	}
	return fmt.Sprintf("log %s was %s: known checkpoint of size %d with root %s, found one of %d with root %s; "+
		"keep both, stop sealing, and find out which program wrote the second",
		e.Known.Origin, what, e.Known.Tree.N, e.Known.Tree.Hash, e.Found.Tree.N, e.Found.Tree.Hash)
}

// Extends returns nil if found is known's tree or one grown from it, and *ForkError if it
// is not. The tiles of found are needed and proved; trouble with them is another error.
func (l *Log) Extends(ctx context.Context, found, known Checkpoint) error {
	fork := &ForkError{Known: known, Found: found}
	switch {
	case found.Tree == known.Tree:
		return nil
	case found.Tree.N <= known.Tree.N:
		return fork
	case known.Tree.N == 0:
		return nil // every tree extends the empty one
	}
	proof, err := l.proveTree(ctx, found.Tree, known.Tree.N, nil)
	if err != nil {
		return err
	}
	if tlog.CheckTree(proof, found.Tree.N, found.Tree.Hash, known.Tree.N, known.Tree.Hash) != nil {
		return fork
	}
	return nil
}
