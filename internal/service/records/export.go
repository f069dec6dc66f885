package records

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	pathpkg "path"
	"path/filepath"
	"slices"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/archive"
	"receiver/internal/audit/verification"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
)

// ExportOptions are what logs are exported with. Config, Keys and Progress must be set.
type ExportOptions struct {
	Config *config.Config
	Keys   audit.Keys
	// From and Until bound when a record was stored; zero bounds nothing.
	From, Until time.Time
	// After, unless nil, bounds the sequences instead: the last one of each stream that is not
	// wanted.
	After map[string]uint64
	// Kept, unless nil, are the checkpoints to put into the archive instead of all that are kept;
	// none of them is newer than the message Stored of CHECKPOINTS.
	Kept   func(origin string) []audit.Kept
	Stored uint64
	// Bodies are exported that are kept outside of their messages.
	Bodies   bool
	Progress Progress
}

// Exported is one log that was exported and verified.
type Exported struct {
	Origin  string `json:"origin"`
	Folder  string `json:"folder"`
	From    uint64 `json:"from"`
	To      uint64 `json:"to"` // less than From if there was nothing
	Records int64  `json:"records"`
	Faults  int    `json:"faults,omitempty"` // which the log has, too
	Size    int64  `json:"size"`             // of the checkpoint
	Root    string `json:"root"`
}

// Stream is the stream of the log.
func (e Exported) Stream() string { return pathpkg.Base(e.Origin) }

// Export writes records into an archive in a folder, a log after the other, and verifies each. With
// an error it returns the logs before.
func Export(ctx context.Context, bus *publish.Store, dir string, o ExportOptions) (done []Exported, err error) {
	if o.Kept == nil {
		if o.Stored, err = bus.LastSequence(ctx, conn.CheckpointsStream); err != nil {
			return nil, err
		}
		kept, err := logs.Collect(ctx, o.Config, bus)
		if err != nil {
			return nil, err
		}
		o.Kept = kept.Of
	}
	for _, stream := range logs.Streams {
		folder := filepath.Join(dir, stream)
		r, err := o.stream(ctx, bus, stream, folder)
		if err != nil {
			return done, fmt.Errorf("exporting %s: %w", stream, err)
		}
		wrong, err := wrong(ctx, bus, stream, r)
		if err != nil {
			return done, fmt.Errorf("exporting %s: %w", stream, err)
		}
		if !r.Proved || len(wrong)+r.Omitted > 0 {
			return done, fmt.Errorf("exporting %s: the export does not verify: %v; keep the streams, and run `receiver audit verify`", stream, wrong)
		}
		done = append(done, Exported{Origin: r.Origin, Folder: folder, From: r.From, To: r.To, Records: r.Records, Faults: len(r.Faults), Size: r.Size, Root: r.Root})
	}
	return done, nil
}

// wrong returns the faults of an archive that are not those of the log, which every archive of it
// has: a clock was set back, or a record is gone from the stream. Archives go on in spite of these.
func wrong(ctx context.Context, bus *publish.Store, stream string, r audit.Report) ([]audit.Fault, error) {
	if r.OK() {
		return nil, nil
	}
	gone, err := bus.Gone(ctx, stream, r.To)
	return slices.DeleteFunc(slices.Clone(r.Faults), func(f audit.Fault) bool {
		return f.Kind == audit.Misdated || f.Kind == audit.Missing && slices.ContainsFunc(gone, func(s publish.Span) bool { return s.First <= f.Seq && f.Seq <= s.Last })
	}), err
}

// stream exports the records of one log and verifies the result.
func (o ExportOptions) stream(ctx context.Context, bus *publish.Store, stream, folder string) (audit.Report, error) {
	log, err := logs.Open(ctx, bus, o.Config.Audit, stream, o.Keys)
	if err != nil {
		return audit.Report{}, err
	}
	from, to, err := o.bounds(ctx, bus, stream)
	if err != nil {
		return audit.Report{}, err
	}
	var body func(context.Context, audit.Record) ([]byte, error)
	if o.Bodies {
		body = StoredIn(bus).outside
	}
	show, finish := o.Progress("exporting " + stream)
	err = archive.Export(ctx, log, folder, archive.Options{
		From: from, To: to, Body: body, Kept: o.Kept(logs.Origin(o.Config.Audit, stream)),
		Stored: func(ctx context.Context, note []byte) (time.Time, error) { return storedAt(ctx, bus, o.Stored, note) },
		Pushed: func(ctx context.Context) (uint64, error) {
			extent, err := bus.Extent(ctx, stream)
			return extent.First, err
		},
		Progress: func(n int64) { show(n, n) },
	})
	finish()
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return audit.Report{}, fmt.Errorf("%w; make one with `receiver audit seal`", err)
	}
	if err != nil {
		return audit.Report{}, err
	}
	exported, err := archive.Open(folder)
	if err != nil {
		return audit.Report{}, err
	}
	show, finish = o.Progress("verifying " + stream)
	defer finish()
	return exported.Verify(ctx, o.Keys, verification.Options{Progress: show})
}

// storedAt returns when a checkpoint was stored behind a sequence of CHECKPOINTS; zero if it was
// not.
func storedAt(ctx context.Context, bus *publish.Store, after uint64, note []byte) (time.Time, error) {
	for m, err := range bus.From(ctx, conn.CheckpointsStream, publish.Position{Sequence: after + 1}, false) {
		if err != nil || bytes.Equal(m.Data, note) {
			return m.Time, err
		}
	}
	return time.Time{}, nil
}

// bounds returns the first and the last sequence of the time.
func (o ExportOptions) bounds(ctx context.Context, bus *publish.Store, stream string) (from, to uint64, err error) {
	extent, err := bus.Extent(ctx, stream)
	if err != nil {
		return 0, 0, err
	}
	if o.After != nil {
		return max(o.After[stream]+1, extent.First, 1), min(extent.Last, math.MaxInt64), nil
	}
	if from, err = firstSince(ctx, bus, stream, o.From, extent); err != nil {
		return 0, 0, err
	}
	next := min(extent.Last, math.MaxInt64) + 1
	if !o.Until.IsZero() {
		next, err = firstSince(ctx, bus, stream, o.Until, extent)
	}
	if next <= from {
		return extent.Last + 1, extent.Last, err // none; and 0 would mean all
	}
	return from, next - 1, err
}

// firstSince returns the first sequence stored since a time; one more than the last if
// there is none.
func firstSince(ctx context.Context, bus *publish.Store, stream string, t time.Time, extent publish.Extent) (uint64, error) {
	if t.IsZero() {
		return max(extent.First, 1), nil
	}
	for m, err := range bus.From(ctx, stream, publish.Position{Time: t}, true) {
		return m.Sequence, err
	}
	return min(extent.Last, math.MaxInt64) + 1, nil
}
