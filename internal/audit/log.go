package audit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"receiver/internal/audit/tile"
)

var (
	// ErrConflict is returned by a CheckpointStore whose revision is not the one named: someone
	// else stored first. Load again and decide anew.
	ErrConflict = errors.New("another program changed the checkpoint")

	// ErrNoCheckpoint is returned where a checkpoint is needed and none is stored. Seal first.
	ErrNoCheckpoint = errors.New("log has no checkpoint yet")

	// ErrNotSealed is returned for a sequence the newest checkpoint does not cover yet. It
	// will, after the next sealing.
	ErrNotSealed = errors.New("record is not sealed yet")

	// ErrNoRecord is returned for a sequence whose record the stream does not hold: it never
	// was in this log, or it was removed.
	ErrNoRecord = errors.New("no such record")

	// ErrTile is returned when stored tiles are malformed or do not add up to their
	// checkpoint. A verification names the tile. A Sealer rebuilds it from the records.
	ErrTile = errors.New("stored tiles do not match the checkpoint; a receiver that seals rebuilds them from the records, as `receiver audit seal` does")
)

// Source reads one stream. Its answers must be those of the stream's leader: a replica that
// lags would have messages that exist sealed as absent, or the stream taken for rewound.
type Source interface {
	// Last returns the sequence of the newest message the stream ever stored (also when it
	// is deleted by now), and 0 when there never was one.
	Last(ctx context.Context) (uint64, error)

	// Records calls yield for every message with from <= Seq <= to that the stream still
	// holds, in ascending order, and returns nil only after the last. Every record owns its
	// memory. An error of yield ends it and is returned.
	Records(ctx context.Context, from, to uint64, yield func(Record) error) error
}

// StorageReader is the half of Storage that reading a log needs.
type StorageReader interface {
	// Get returns the data under name. Without any, the error is fs.ErrNotExist.
	Get(ctx context.Context, name string) ([]byte, error)
}

// Storage holds tiles and stages by name. Names are slash-separated and need no escaping
// (letters, digits, "/", ".", "-"). A Put is whole or not at all, replaces what was there,
// and is durable when it returns.
type Storage interface {
	StorageReader
	Put(ctx context.Context, name string, data []byte) error
	// Delete removes name; that there is nothing to remove is no error.
	Delete(ctx context.Context, name string) error
}

// CheckpointReader is the half of CheckpointStore that reading a log needs.
type CheckpointReader interface {
	// Load returns the checkpoint and its revision; nil and 0 when there is none.
	Load(ctx context.Context) (checkpoint []byte, revision uint64, err error)
}

// CheckpointStore holds the newest checkpoint of one log and changes it by compare-and-set.
type CheckpointStore interface {
	CheckpointReader
	// Store replaces the checkpoint if its revision still is the one given, and returns the
	// new revision. Otherwise the error is ErrConflict.
	Store(ctx context.Context, checkpoint []byte, revision uint64) (uint64, error)
}

// LogOptions names one log and the stores it lives in.
type LogOptions struct {
	Origin string // of its checkpoints, see Origin; its last element is Stream
	Stream string // every record must say it belongs to it
	First  uint64 // sequence of leaf 0; 0 means 1. Never changes in a log's life
	Source Source // must be set
	Keys   Keys   // at least one log key named Origin

	// Storage and Checkpoints must be set. To be sealed, a log needs them to be a Storage and
	// a CheckpointStore.
	Storage     StorageReader
	Checkpoints CheckpointReader
}

// Log is one tamper-evident log: leaf i stands for sequence First+i of the stream. It holds
// no state; all its methods may be called concurrently, also while a Sealer advances it.
type Log struct {
	o LogOptions
}

// NewLog checks the options and reads nothing yet.
func NewLog(o LogOptions) (*Log, error) {
	if o.First == 0 {
		o.First = 1
	}
	if o.Stream == "" || !strings.HasSuffix(o.Origin, "/"+o.Stream) {
		return nil, fmt.Errorf("log origin %q does not end in its stream %q: make it with Origin", o.Origin, o.Stream)
	}
	if o.Source == nil || o.Storage == nil || o.Checkpoints == nil {
		return nil, errors.New("log needs a source, a storage and a checkpoint store")
	}
	if !o.Keys.mayOpen(o.Origin) {
		return nil, fmt.Errorf("no log key is named %q: give the verifier key printed when the log key was made", o.Origin)
	}
	return &Log{o: o}, nil
}

// Options returns what the log was opened with.
func (l *Log) Options() LogOptions { return l.o }

// Origin returns the origin line of the log over one stream of the receiver called name; domain
// is "receiver", or one of its operator.
func Origin(domain, name, stream string) string { return domain + "/" + name + "/" + stream }

// Checkpoint returns the newest stored checkpoint, verified. Without one the error is
// ErrNoCheckpoint.
func (l *Log) Checkpoint(ctx context.Context) (Checkpoint, error) {
	cp, _, err := l.load(ctx)
	if err == nil && cp.Note == nil {
		err = fmt.Errorf("%s: %w", l.o.Origin, ErrNoCheckpoint)
	}
	return cp, err
}

// load returns the stored checkpoint and its revision; without one, a checkpoint of the
// empty tree that has no note.
func (l *Log) load(ctx context.Context) (Checkpoint, uint64, error) {
	note, rev, err := l.o.Checkpoints.Load(ctx)
	if err != nil {
		return Checkpoint{}, 0, fmt.Errorf("loading checkpoint of %s: %w", l.o.Origin, err)
	}
	if note == nil {
		return Checkpoint{Origin: l.o.Origin, Tree: tile.EmptyTree()}, rev, nil
	}
	cp, err := l.Open(note)
	if err != nil {
		return Checkpoint{}, 0, fmt.Errorf("stored checkpoint of %s: %w", l.o.Origin, err)
	}
	return cp, rev, nil
}

// Open verifies a checkpoint and that it is one of this log, under its origin or an earlier one.
func (l *Log) Open(note []byte, earlier ...string) (Checkpoint, error) {
	cp, err := OpenCheckpoint(note, l.o.Keys)
	if err == nil && cp.Origin != l.o.Origin && !slices.Contains(earlier, cp.Origin) {
		err = fmt.Errorf("%w: it is of %q, not of %q", ErrCheckpoint, cp.Origin, l.o.Origin)
	}
	return cp, err
}

// Seq returns the sequence number of leaf i.
func (l *Log) Seq(i int64) uint64 { return l.o.First + uint64(i) }

// Leaves returns how many leaves a stream has whose newest message is last.
func (l *Log) Leaves(last uint64) int64 {
	if last < l.o.First {
		return 0
	}
	return int64(min(last-l.o.First, math.MaxInt64-1)) + 1
}
