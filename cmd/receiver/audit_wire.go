package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
)

// sealedStreams are the streams that are sealed, each into a log of its own.
var sealedStreams = []string{publish.JobsStream, publish.AttemptsStream, publish.ActionsStream}

// streamSource reads a stream for its log.
type streamSource struct {
	bus    *publish.Bus
	stream string
}

// Last implements audit.Source.
func (s streamSource) Last(ctx context.Context) (uint64, error) {
	return s.bus.LastSequence(ctx, s.stream)
}

// Records implements audit.Source.
func (s streamSource) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return s.bus.Range(ctx, s.stream, from, to, func(m publish.Message) error {
		return yield(record(s.stream, m))
	})
}

// Lines implements audit.Liner.
func (s streamSource) Lines(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return s.bus.Lines(ctx, s.stream, from, to, func(m publish.Message) error {
		return yield(record(s.stream, m))
	})
}

func record(stream string, m publish.Message) audit.Record {
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

// openLog opens the log over one stream. Where a reader finds no tiles or no checkpoints,
// the log has none.
func openLog(ctx context.Context, bus *publish.Bus, name, stream string, keys audit.Keys) (*audit.Log, error) {
	o := audit.LogOptions{
		Origin: audit.Origin(name, stream), Stream: stream, Source: streamSource{bus, stream}, Keys: keys,
		Storage: nothing{}, Checkpoints: nothing{},
	}
	tiles, err := bus.Tiles(ctx)
	if err == nil {
		o.Storage = logStorage{tiles, name + "/" + stream + "/"}
	} else if !errors.Is(err, publish.ErrMissing) {
		return nil, err
	}
	checkpoints, err := bus.Checkpoints(ctx, name, stream)
	if err == nil {
		o.Checkpoints = logCheckpoints{checkpoints}
	} else if !errors.Is(err, publish.ErrMissing) {
		return nil, err
	}
	return audit.NewLog(o)
}

// errNoLogKey is what commands say that need the public key of the logs.
var errNoLogKey = usagef("the logs have no key: set audit.key (`receiver audit init` makes one), or give --log-key")

// auditKeys returns the public keys that the configuration believes: those of its log key,
// earlier ones, and the witnesses'.
func auditKeys(c config.Audit) (audit.Keys, error) {
	var logs, witnesses []string
	if !c.Key.Empty() {
		key, err := audit.ParseKey(c.Key.Reveal())
		if err != nil {
			return audit.Keys{}, usagef("audit.key: %w", err)
		}
		for _, stream := range sealedStreams {
			logs = append(logs, key.VerifierKey(audit.Origin(c.Name, stream)))
		}
	}
	logs = append(logs, c.VerifierKeys...)
	for _, a := range c.Anchors {
		if a.Witness != "" {
			witnesses = append(witnesses, a.Key)
		}
	}
	keys, err := audit.ParseKeys(logs, witnesses)
	if err != nil {
		return audit.Keys{}, usagef("audit: %w", err)
	}
	return keys, nil
}
