package anchor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
)

// Collection is all checkpoints there are beside the newest in the store, by origin: what a
// log is compared with to see whether it was forked or rolled back.
type Collection struct {
	// Keys are the keys that are believed. A place that others write to as well may hold what none
	// of them has signed; of a log with no key here that is no fault.
	Keys audit.Keys
	// Faults are of places where checkpoints are kept instead of a log.
	Faults []audit.Fault

	kept     map[string][]audit.Kept
	times    map[string][]sealedAt
	places   []*place
	receipts []Receipt // of what the places received
	cut      []Receipt // those that the file of receipts lost
	told     []Receipt // others that were noted
}

// sealedAt is when a log had reached a size, as the store says.
type sealedAt struct {
	time time.Time
	size int64
}

// Of returns the checkpoints of one log.
func (c *Collection) Of(origin string) []audit.Kept { return c.kept[origin] }

// Origins returns the origins of all logs of which there is a checkpoint, sorted, by any
// signer.
func (c *Collection) Origins() []string { return slices.Sorted(maps.Keys(c.kept)) }

// SealedBefore returns how many leaves a log had at a moment, as far as is known.
func (c *Collection) SealedBefore(origin string, t time.Time) (size int64) {
	for _, s := range c.times[origin] {
		if s.time.Before(t) {
			size = max(size, s.size)
		}
	}
	return size
}

// Sealings returns when the store took checkpoints, of any log, in ascending order.
func (c *Collection) Sealings() (all []time.Time) {
	for _, times := range c.times {
		for _, s := range times {
			all = append(all, s.time)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

func (c *Collection) fault(where string, seq uint64, kind audit.Kind, format string, args ...any) {
	c.Faults = append(c.Faults, audit.Fault{Stream: where, Seq: seq, Kind: kind, Detail: fmt.Sprintf(format, args...)})
}

// at begins a place.
func (c *Collection) at(kind, where string, id ID) *place {
	p := &place{kind: kind, where: where, id: id, held: map[string][]held{}}
	c.places = append(c.places, p)
	return p
}

// add takes one checkpoint that a place has had since a moment. Other data is a fault there.
func (c *Collection) add(p *place, name string, seq uint64, k audit.Kept, since time.Time) (audit.Checkpoint, bool) {
	cp, err := audit.ReadCheckpoint(k.Note)
	if err != nil {
		c.fault(name, seq, audit.BadNote, "%s: %v", k.Where, err)
		return cp, false
	}
	if c.kept == nil {
		c.kept, c.times = map[string][]audit.Kept{}, map[string][]sealedAt{}
	}
	c.kept[cp.Origin] = append(c.kept[cp.Origin], k)
	p.held[cp.Origin] = append(p.held[cp.Origin], held{cp.Tree.N, k.Note, since})
	return cp, true
}

// believes reports whether a key of a log is believed, by how the names of its files begin.
func (c *Collection) believes(log string) bool {
	return slices.ContainsFunc(c.Keys.Log, func(v note.Verifier) bool { return fileOf(v.Name()) == log })
}

// AddAccount reads a foreign account at a server, with the checkpoints of all logs. An account
// that cannot be read is a fault: a history that only it contradicts would pass. Foreign data is
// one where our own checkpoints are published.
func (c *Collection) AddAccount(ctx context.Context, name, own string, a Account, where string) error {
	p := c.at("account", where, AccountID(a.Name()))
	err := a.All(ctx, func(sequence uint64, receiver, _ string, stored time.Time, checkpoint []byte) error {
		if _, err := audit.ReadCheckpoint(checkpoint); err == nil || receiver == own {
			c.add(p, name, 0, audit.Kept{Where: fmt.Sprintf("%s/%d", where, sequence), Note: checkpoint}, stored)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		p.unread = err
		c.fault(name, 0, audit.BadNote, "%v", err)
		return nil
	}
	return err
}

// AddFile reads a checkpoint file. If the store alone has sealed something, it must hold some.
func (c *Collection) AddFile(name, path string, alone bool) {
	kept, err := ReadFile(path)
	needed := alone && len(c.kept) > 0
	if errors.Is(err, fs.ErrNotExist) && !needed {
		return
	}
	p := c.at("file", path, ID{})
	switch p.unread = err; {
	case err != nil:
		c.fault(name, 0, audit.BadNote, "%v; without it a rollback of the store cannot be detected", err)
	case len(kept) == 0 && needed:
		c.fault(name, 0, audit.BadNote, "%s contains no checkpoint; without one a rollback of the store cannot be detected", path)
	}
	var written time.Time
	if info, err := os.Stat(path); err == nil {
		written = info.ModTime()
	}
	for _, k := range kept {
		c.add(p, name, 0, k, written)
	}
}

// AddDir reads a folder, with the checkpoints of all logs.
func (c *Collection) AddDir(name string, dir Dir) {
	p := c.at("folder", dir.Path, DirID(dir.Path))
	p.unread = dir.All(func(path, log string, written time.Time, signed []byte, err error) {
		if err != nil {
			c.fault(name, 0, audit.BadNote, "%v", err)
			return
		}
		if _, err := audit.ReadCheckpoint(signed); err == nil || c.believes(log) {
			c.add(p, name, 0, audit.Kept{Where: path, Note: signed}, written)
		}
	})
	if p.unread != nil {
		c.fault(name, 0, audit.BadNote, "%v", p.unread)
	}
}

// AddStream reads the stream of all checkpoints, which ends at last. Nothing is ever removed
// from it, so a gap is a fault; so is an error that is stalled, which ends the reading.
func (c *Collection) AddStream(ctx context.Context, stream string, src audit.Source, last uint64, stalled error) error {
	p := c.at("stream", stream, ID{})
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
		if cp, ok := c.add(p, stream, r.Seq, audit.Kept{Where: where, Note: r.Data, Time: r.Time}, r.Time); ok {
			c.times[cp.Origin] = append(c.times[cp.Origin], sealedAt{r.Time, cp.Tree.N})
		}
		return nil
	})
	if errors.Is(err, stalled) {
		p.unread = err
		c.fault(stream, next, audit.Unreadable, "%v", err)
		return nil
	}
	gap(last + 1)
	return err
}
