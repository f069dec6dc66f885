package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
)

// keptCheckpoints are all checkpoints there are beside the newest in the store, by origin:
// what a log is compared with to see whether it was forked or rolled back.
type keptCheckpoints struct {
	name   string
	kept   map[string][]audit.Kept
	times  map[string][]sealedAt
	faults []audit.Fault
}

// sealedAt is when a log had reached a size, as the store says.
type sealedAt struct {
	time time.Time
	size int64
}

// faultAt is about a place where checkpoints are kept instead of a log.
func (k *keptCheckpoints) fault(where string, seq uint64, kind audit.Kind, format string, args ...any) {
	k.faults = append(k.faults, audit.Fault{Stream: where, Seq: seq, Kind: kind, Detail: fmt.Sprintf(format, args...)})
}

// add takes one checkpoint. What is none is a fault at its place.
func (k *keptCheckpoints) add(place string, seq uint64, c audit.Kept) (audit.Checkpoint, bool) {
	cp, err := audit.ReadCheckpoint(c.Note)
	if err != nil {
		k.fault(place, seq, audit.BadNote, "%s: %v", c.Where, err)
		return cp, false
	}
	k.kept[cp.Origin] = append(k.kept[cp.Origin], c)
	return cp, true
}

// gatherKept reads every place where checkpoints are kept.
func gatherKept(ctx context.Context, cfg *config.Config, bus *publish.Bus) (*keptCheckpoints, error) {
	k := &keptCheckpoints{name: cfg.Audit.Name, kept: map[string][]audit.Kept{}, times: map[string][]sealedAt{}}
	if err := k.addStream(ctx, bus); err != nil {
		return nil, err
	}
	k.addFile(cfg)
	for _, a := range cfg.Audit.Anchors {
		switch {
		case a.Directory != "":
			k.addDirectory(cfg.Abs(a.Directory))
		case len(a.NATS.URLs) > 0:
			if err := k.addAccount(ctx, cfg, a.NATS); err != nil {
				return nil, err
			}
		}
	}
	return k, nil
}

// addAccount reads an anchor in another NATS account. That it cannot be read is a fault: a
// history that only it contradicts would pass.
func (k *keptCheckpoints) addAccount(ctx context.Context, cfg *config.Config, n config.AnchorNATS) error {
	account, err := publish.DialAnchor(anchorOptions(cfg, n))
	if err != nil {
		return usagef("audit.anchors: %w", err)
	}
	defer account.Close()
	err = account.All(ctx, k.name, func(m publish.Message) error {
		k.add("audit.anchors", 0, audit.Kept{Where: fmt.Sprintf("%s, %s/%d", n.URLs[0], n.Stream, m.Sequence), Note: m.Data})
		return nil
	})
	if err != nil && ctx.Err() == nil {
		k.fault("audit.anchors", 0, audit.BadNote, "%v", err)
		return nil
	}
	return err
}

func (k *keptCheckpoints) addFile(cfg *config.Config) {
	const place = "audit.checkpoint_file"
	path := cfg.Abs(cfg.Audit.CheckpointFile)
	kept, err := audit.ReadCheckpointFile(path)
	// Of a cluster another machine may write it; a store alone has sealed nothing without it.
	needed := cfg.NATS.Embeds() && len(k.kept) > 0
	switch {
	case errors.Is(err, fs.ErrNotExist) && !needed:
		return
	case err != nil:
		k.fault(place, 0, audit.BadNote, "%v; without it a rollback of the store cannot be seen", err)
	case len(kept) == 0 && needed:
		k.fault(place, 0, audit.BadNote, "%s holds no checkpoint; without any a rollback of the store cannot be seen", path)
	}
	for _, c := range kept {
		k.add(place, 0, c)
	}
}

func (k *keptCheckpoints) addDirectory(path string) {
	for _, stream := range sealedStreams {
		kept, err := audit.CheckpointDir{Path: path}.Read(audit.Origin(k.name, stream))
		if err != nil {
			k.fault("audit.anchors", 0, audit.BadNote, "%v", err)
			return
		}
		for _, c := range kept {
			k.add("audit.anchors", 0, c)
		}
	}
}

// addStream reads the stream of all checkpoints. Nothing is ever removed from it, so a gap
// is a fault.
func (k *keptCheckpoints) addStream(ctx context.Context, bus *publish.Bus) error {
	extent, err := bus.Extent(ctx, publish.CheckpointsStream)
	if errors.Is(err, publish.ErrMissing) {
		return nil // each log says that it has none
	}
	if err != nil {
		return err
	}
	next := uint64(1)
	gap := func(until uint64) {
		if next < until {
			k.fault(publish.CheckpointsStream, next, audit.Missing, "checkpoints %d to %d were removed, or cannot be read", next, until-1)
		}
	}
	err = bus.Range(ctx, publish.CheckpointsStream, 1, extent.Last, func(m publish.Message) error {
		gap(m.Sequence)
		next = m.Sequence + 1
		where := fmt.Sprintf("%s/%d", publish.CheckpointsStream, m.Sequence)
		if cp, ok := k.add(publish.CheckpointsStream, m.Sequence, audit.Kept{Where: where, Note: m.Data, Time: m.Time}); ok {
			k.times[cp.Origin] = append(k.times[cp.Origin], sealedAt{m.Time, cp.Tree.N})
		}
		return nil
	})
	if errors.Is(err, publish.ErrStalled) {
		k.fault(publish.CheckpointsStream, next, audit.Unreadable, "%v", err)
		return nil
	}
	gap(extent.Last + 1)
	return err
}

// sealedBefore returns how many leaves a log had at a moment, as far as is known.
func (k *keptCheckpoints) sealedBefore(origin string, t time.Time) (size int64) {
	for _, s := range k.times[origin] {
		if s.time.Before(t) {
			size = max(size, s.size)
		}
	}
	return size
}
