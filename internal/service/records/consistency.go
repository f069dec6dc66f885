package records

import (
	"context"
	"errors"
	"fmt"
	"path"

	"receiver/internal/audit"
	"receiver/internal/audit/bundle"
)

// ErrNotProved is in the error if files do not prove what was asked.
var ErrNotProved = errors.New("this is no proof")

// Consistent are two checkpoints of one history.
type Consistent struct {
	Old, New audit.Checkpoint
	Proof    []byte // that the later one extends the earlier one, as a file
}

// Consistency proves that of two files, bundles or signed checkpoints, the later one extends the
// earlier one. The third file is the proof; if it is nil the proof is made from what in opens,
// unless none is needed. The error is ErrNotProved if they are not consistent.
func Consistency(ctx context.Context, files [3][]byte, keys audit.Keys, in func(use func(Evidence) error) error) (Consistent, error) {
	old, later, err := bundle.Ends([2][]byte(files[:2]), keys)
	if err != nil {
		return Consistent{}, notProved(err)
	}
	c := bundle.Consistency{Origin: later.Origin, Old: old.Tree.N, New: later.Tree.N}
	switch {
	case files[2] != nil:
		if c, err = bundle.ParseConsistency(files[2]); err != nil {
			return Consistent{}, notProved(err)
		}
	case c.Old > 0 && c.Old < c.New && old.Origin == later.Origin:
		err := in(func(e Evidence) error {
			log, err := e.Log(path.Base(c.Origin))
			if err != nil {
				return err
			}
			if c.Proof, err = log.ProveTree(ctx, later.Tree, c.Old); err != nil {
				err = fmt.Errorf("%w; the checkpoint of size %d is newer, or of another history, or tiles are damaged: run `receiver audit verify`", err, c.New)
			}
			return err
		})
		if err != nil {
			return Consistent{}, err
		}
	}
	if err := c.Check(old, later); err != nil {
		return Consistent{}, notProved(err)
	}
	text, err := bundle.EncodeConsistency(c)
	return Consistent{old, later, text}, err
}

func notProved(err error) error { return refuted{err} }

// refuted is an error that is ErrNotProved.
type refuted struct{ error }

// Unwrap makes it ErrNotProved.
func (r refuted) Unwrap() []error { return []error{r.error, ErrNotProved} }
