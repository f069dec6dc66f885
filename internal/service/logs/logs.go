// Package logs opens the Merkle logs over the streams, and what keeps them sealed, as the
// configuration says: their keys, their storage, the checkpoint file and the anchors.
//
// It decides neither what a log proves, which is for audit, nor when it is sealed, which is for
// sealing.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Streams are the streams that are sealed, each into a log of its own.
var Streams = []string{conn.JobsStream, conn.AttemptsStream, conn.ActionsStream}

// StreamSource reads a stream for its log.
type StreamSource struct {
	Bus    *publish.Store
	Stream string
}

// Last implements audit.Source.
func (s StreamSource) Last(ctx context.Context) (uint64, error) {
	return s.Bus.LastSequence(ctx, s.Stream)
}

// Records implements audit.Source.
func (s StreamSource) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return s.Bus.Range(ctx, s.Stream, from, to, func(m publish.Message) error {
		return yield(Record(s.Stream, m))
	})
}

// Lines implements audit.Liner.
func (s StreamSource) Lines(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return s.Bus.Lines(ctx, s.Stream, from, to, func(m publish.Message) error {
		return yield(Record(s.Stream, m))
	})
}

// Record is a message of a stream as the logs know it.
func Record(stream string, m publish.Message) audit.Record {
	return audit.Record{
		Stream: stream, Seq: m.Sequence, Subject: m.Subject, Time: m.Time, Header: m.Header, Lines: m.Lines, Data: m.Data,
	}
}

// logStorage keeps the tiles of one log in the bucket of all.
type logStorage struct {
	tiles  publish.Tiles
	prefix string
}

// Get implements audit.Storage, as do Put and Delete.
func (s logStorage) Get(ctx context.Context, name string) ([]byte, error) {
	return s.tiles.Get(ctx, s.prefix+name)
}

// Put stores data under name.
func (s logStorage) Put(ctx context.Context, name string, data []byte) error {
	return s.tiles.Put(ctx, s.prefix+name, data)
}

// Delete removes name.
func (s logStorage) Delete(ctx context.Context, name string) error {
	return s.tiles.Delete(ctx, s.prefix+name)
}

// List implements audit.Lister.
func (s logStorage) List(ctx context.Context, yield func(name string, size int64)) error {
	return s.tiles.List(ctx, func(name string, size int64) {
		if name, ours := strings.CutPrefix(name, s.prefix); ours {
			yield(name, size)
		}
	})
}

// logCheckpoints keeps the checkpoints of one log in the stream of all.
type logCheckpoints struct{ publish.Checkpoints }

// Store implements audit.CheckpointStore.
func (c logCheckpoints) Store(ctx context.Context, checkpoint []byte, revision uint64) (uint64, error) {
	rev, err := c.Checkpoints.Store(ctx, checkpoint, revision)
	if errors.Is(err, publish.ErrChanged) {
		err = fmt.Errorf("%w: %w", audit.ErrConflict, err)
	}
	return rev, err
}

// nothing is what a store holds that was never sealed, or whose evidence was removed.
type nothing struct{}

// Get implements audit.StorageReader.
func (nothing) Get(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }

// Load implements audit.CheckpointReader.
func (nothing) Load(context.Context) ([]byte, uint64, error) { return nil, 0, nil }

// Open opens the log over one stream. Where a reader finds no tiles or no checkpoints,
// the log has none.
func Open(ctx context.Context, bus *publish.Store, c config.Audit, stream string, keys audit.Keys) (*audit.Log, error) {
	o := audit.LogOptions{
		Origin: Origin(c, stream), Stream: stream, Source: StreamSource{bus, stream}, Keys: keys,
		Storage: nothing{}, Checkpoints: nothing{},
	}
	tiles, err := bus.Tiles(ctx)
	if err == nil {
		o.Storage = logStorage{tiles, Place(c) + "/" + stream + "/"}
	} else if !errors.Is(err, conn.ErrMissing) {
		return nil, err
	}
	checkpoints, err := bus.Checkpoints(ctx, Place(c), stream)
	if err == nil {
		o.Checkpoints = logCheckpoints{checkpoints}
	} else if !errors.Is(err, conn.ErrMissing) {
		return nil, err
	}
	return audit.NewLog(o)
}
