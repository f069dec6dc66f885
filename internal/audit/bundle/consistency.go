package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/tile"
)

// consistencyFormat is the version of the consistency proof. A change of it changes this.
const consistencyFormat = "receiver-consistency/v1"

var (
	// ErrInconsistent is returned for two checkpoints of which the later one does not extend the
	// earlier one by this proof.
	ErrInconsistent = errors.New("the later checkpoint does not extend the earlier one by this proof")

	// ErrOtherProof is returned for a proof that says nothing about two checkpoints.
	ErrOtherProof = errors.New("the proof is about other checkpoints")
)

// Consistency is the proof that one checkpoint of a log extends another. It does not contain them:
// a checker has both, each from where it was kept.
type Consistency struct {
	Origin   string
	Old, New int64          // the sizes of the two trees
	Proof    tlog.TreeProof // RFC 6962 section 2.1.2; empty if Old is 0 or New
}

type wireConsistency struct {
	Format string      `json:"format"`
	Origin wireText    `json:"origin"`
	Old    int64       `json:"old_size"`
	New    int64       `json:"new_size"`
	Proof  []tlog.Hash `json:"proof"`
}

func (c Consistency) wire() wireConsistency {
	return wireConsistency{consistencyFormat, wireText(c.Origin), c.Old, c.New, append([]tlog.Hash{}, c.Proof...)}
}

// EncodeConsistency writes a consistency proof as JSON, indented for people.
func EncodeConsistency(c Consistency) ([]byte, error) { return indented(c.wire()) }

// ParseConsistency reads what EncodeConsistency wrote, and refuses with audit.ErrBundle whatever it
// would not write, as Parse does. It checks no proof.
func ParseConsistency(data []byte) (Consistency, error) {
	var w wireConsistency
	if err := json.Unmarshal(data, &w); err != nil {
		return Consistency{}, fmt.Errorf("%w: %v", audit.ErrBundle, err)
	}
	if w.Format != consistencyFormat {
		return Consistency{}, fmt.Errorf("%w: format %q, want %q", audit.ErrBundle, w.Format, consistencyFormat)
	}
	c := Consistency{Origin: string(w.Origin), Old: w.Old, New: w.New, Proof: w.Proof}
	if c.Old < 0 || c.New < c.Old {
		return Consistency{}, fmt.Errorf("%w: sizes %d and %d", audit.ErrBundle, c.Old, c.New)
	}
	return c, canonical(data, c.wire())
}

// Check proves that the later of two verified checkpoints extends the earlier one. The errors are
// ErrOtherProof and ErrInconsistent.
func (c Consistency) Check(old, later audit.Checkpoint) error {
	if old.Origin != later.Origin {
		return fmt.Errorf("%w: they are of two logs, %s and %s", ErrInconsistent, old.Origin, later.Origin)
	}
	if c.Origin != old.Origin || c.Origin != later.Origin || c.Old != old.Tree.N || c.New != later.Tree.N {
		return fmt.Errorf("%w: of sizes %d and %d of %s, and these have sizes %d and %d of %s",
			ErrOtherProof, c.Old, c.New, c.Origin, old.Tree.N, later.Tree.N, old.Origin)
	}
	empty, _ := tlog.TreeHash(0, nil) // of the empty tree it needs no reader and cannot fail
	var err error
	switch {
	case c.Old == c.New && old.Tree != later.Tree:
		err = errors.New("two roots of one size: keep both, the log was forked")
	case c.Old == 0 && old.Tree.Hash != empty:
		err = errors.New("the root of no leaves is another one")
	case c.Old == 0 || c.Old == c.New:
		if len(c.Proof) > 0 {
			err = errors.New("a proof where none is needed")
		}
	case c.New > tile.MaxSize:
		err = fmt.Errorf("no log has %d leaves", c.New)
	default:
		err = tlog.CheckTree(c.Proof, c.New, later.Tree.Hash, c.Old, old.Tree.Hash)
	}
	if err != nil {
		return fmt.Errorf("%w: %v", ErrInconsistent, err)
	}
	return nil
}

// Ends returns the checkpoints of two files, verified, that of fewer leaves first. Each file is a
// bundle or a signed checkpoint by itself. The errors are audit.ErrBundle, audit.ErrCheckpoint and
// audit.ErrSignature.
func Ends(files [2][]byte, keys audit.Keys) (old, later audit.Checkpoint, err error) {
	var both [2]audit.Checkpoint
	for i, file := range files {
		signed := file
		if bytes.HasPrefix(bytes.TrimLeft(file, " \t\r\n"), []byte("{")) {
			b, err := Parse(file)
			if err != nil {
				return old, later, fmt.Errorf("file %d: %w", i+1, err)
			}
			signed = b.Checkpoint
		}
		if both[i], err = audit.OpenCheckpoint(signed, keys); err != nil {
			return old, later, fmt.Errorf("file %d: %w", i+1, err)
		}
	}
	if both[0].Tree.N > both[1].Tree.N {
		both[0], both[1] = both[1], both[0]
	}
	return both[0], both[1], nil
}
