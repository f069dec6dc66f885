package anchor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"receiver/internal/audit"
)

// Collection is all checkpoints there are beside the newest in the store, by origin: what a
// log is compared with to see whether it was forked or rolled back. The zero value is empty.
type Collection struct {
	// Faults are of places where checkpoints are kept instead of a log.
	Faults []audit.Fault

	kept  map[string][]audit.Kept
	times map[string][]sealedAt
}

// sealedAt is when a log had reached a size, as the store says.
type sealedAt struct {
	time time.Time
	size int64
}

// Of returns the checkpoints of one log.
func (c *Collection) Of(origin string) []audit.Kept { return c.kept[origin] }

// SealedBefore returns how many leaves a log had at a moment, as far as is known.
func (c *Collection) SealedBefore(origin string, t time.Time) (size int64) {
	for _, s := range c.times[origin] {
		if s.time.Before(t) {
			size = max(size, s.size)
		}
	}
	return size
}

func (c *Collection) fault(where string, seq uint64, kind audit.Kind, format string, args ...any) {
	c.Faults = append(c.Faults, audit.Fault{Stream: where, Seq: seq, Kind: kind, Detail: fmt.Sprintf(format, args...)})
}

// add takes one checkpoint. Other data is a fault at its place.
func (c *Collection) add(place string, seq uint64, k audit.Kept) (audit.Checkpoint, bool) {
	cp, err := audit.ReadCheckpoint(k.Note)
	if err != nil {
		c.fault(place, seq, audit.BadNote, "%s: %v", k.Where, err)
		return cp, false
	}
	if c.kept == nil {
		c.kept, c.times = map[string][]audit.Kept{}, map[string][]sealedAt{}
	}
	c.kept[cp.Origin] = append(c.kept[cp.Origin], k)
	return cp, true
}

// AddAccount reads a foreign account at a server. An account that cannot be read is a fault: a
// history that only it contradicts would pass.
func (c *Collection) AddAccount(ctx context.Context, place, name string, a Account, where string) error {
	err := a.Since(ctx, name, "*", 0, func(sequence uint64, checkpoint []byte) error {
		c.add(place, 0, audit.Kept{Where: fmt.Sprintf("%s/%d", where, sequence), Note: checkpoint})
		return nil
	})
	if err != nil && ctx.Err() == nil {
		c.fault(place, 0, audit.BadNote, "%v", err)
		return nil
	}
	return err
}

// AddFile reads a checkpoint file. If the store alone has sealed something, it must hold some.
func (c *Collection) AddFile(place, path string, alone bool) {
	kept, err := ReadFile(path)
	needed := alone && len(c.kept) > 0
	switch {
	case errors.Is(err, fs.ErrNotExist) && !needed:
		return
	case err != nil:
		c.fault(place, 0, audit.BadNote, "%v; without it a rollback of the store cannot be detected", err)
	case len(kept) == 0 && needed:
		c.fault(place, 0, audit.BadNote, "%s contains no checkpoint; without one a rollback of the store cannot be detected", path)
	}
	for _, k := range kept {
		c.add(place, 0, k)
	}
}

// AddDir reads the checkpoints of logs in a folder.
func (c *Collection) AddDir(place string, dir Dir, origins ...string) {
	for _, origin := range origins {
		kept, err := dir.Read(origin)
		if err != nil {
			c.fault(place, 0, audit.BadNote, "%v", err)
			return
		}
		for _, k := range kept {
			c.add(place, 0, k)
		}
	}
}

// AddStream reads the stream of all checkpoints, which ends at last. Nothing is ever removed
// from it, so a gap is a fault; so is an error that is stalled, which ends the reading.
func (c *Collection) AddStream(ctx context.Context, stream string, src audit.Source, last uint64, stalled error) error {
	next := uint64(1)
	gap := func(until uint64) {
		if next < until {
			c.fault(stream, next, audit.Missing, "checkpoints %d to %d were removed, or cannot be read", next, until-1)
		}
	}
	err := src.Records(ctx, 1, last, func(r audit.Record) error {
		gap(r.Seq)
		next = r.Seq + 1
		where := fmt.Sprintf("%s/%d", stream, r.Seq)
		if cp, ok := c.add(stream, r.Seq, audit.Kept{Where: where, Note: r.Data, Time: r.Time}); ok {
			c.times[cp.Origin] = append(c.times[cp.Origin], sealedAt{r.Time, cp.Tree.N})
		}
		return nil
	})
	if errors.Is(err, stalled) {
		c.fault(stream, next, audit.Unreadable, "%v", err)
		return nil
	}
	gap(last + 1)
	return err
}
