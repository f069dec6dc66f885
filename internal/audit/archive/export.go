package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/durable"
)

// Options bound an export.
type Options struct {
	// From and To are the first and the last sequence to export; 0 means the log's first, and the
	// last one sealed. Unsealed records are never exported.
	From, To uint64

	// Pushed returns the first sequence that the stream holds by now, as Options.Pushed of package
	// verification: the export says that it begins behind what was pushed out before it was read.
	// Nil means that nothing is.
	Pushed func(ctx context.Context) (uint64, error)

	// Kept are other checkpoints to put into the folder, with the times at which they were stored.
	Kept []audit.Kept

	// Stored returns when the newest checkpoint was stored, or zero; nil means that it is not
	// known.
	Stored func(ctx context.Context, note []byte) (time.Time, error)
	// Body returns the body of a record that is kept outside of its message, as it is stored, and
	// nil for every other record. Nil leaves these bodies out.
	Body func(ctx context.Context, r audit.Record) ([]byte, error)

	// Progress is called now and then with the number of records written; nil for no calls.
	Progress func(records int64)
}

// Export writes the records of a log's range, all tiles and the newest checkpoint into a new folder
// at path, in the layout of docs/evidence.md. The folder must not exist, or be empty. When it
// returns, records and checkpoints are on disk. It copies the stream without verifying it: verify
// the folder before anything is removed from the stream. A stream that ends before its newest
// checkpoint does is ErrRewound.
func Export(ctx context.Context, l *audit.Log, path string, o Options) error {
	log := l.Options()
	cp, err := l.Checkpoint(ctx)
	if err != nil {
		return err
	}
	last, err := log.Source.Last(ctx)
	if err != nil {
		return fmt.Errorf("asking stream %s for its last sequence: %w", log.Stream, err)
	}
	end := log.First + uint64(cp.Tree.N) - 1
	if last < end { // nor are its tiles counted, whose number may be the word of a thief of the key
		return fmt.Errorf("stream %s ends at %d, but %d is sealed: %w", log.Stream, last, end, audit.ErrRewound)
	}
	if o.To == 0 || o.To > end {
		o.To = end
	}
	info := folderInfo{
		Format: exportFormat, Origin: log.Origin, Stream: log.Stream, First: log.First,
		From: min(max(o.From, log.First), o.To+1), To: o.To, // of none, one more
	}
	err = EmptyFolder(path)
	if err == nil {
		err = os.Mkdir(filepath.Join(path, folderRecords), 0o700)
	}
	if err != nil {
		return fmt.Errorf("exporting to %s: %w", path, err)
	}
	if err := exportAll(ctx, l, path, info, cp, o); err != nil {
		return fmt.Errorf("exporting to %s: %w", path, err)
	}
	return nil
}

// EmptyFolder makes a folder and refuses one that already holds something.
func EmptyFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty, and evidence is never overwritten; name an empty folder", path)
	}
	return err
}

func exportAll(ctx context.Context, l *audit.Log, path string, info folderInfo, cp audit.Checkpoint, o Options) error {
	from, err := exportRecords(ctx, l.Options().Source, path, info, o)
	if err != nil {
		return err
	}
	info.From = from
	// That the files are there, and the folders that they are in.
	if err := errors.Join(durable.SyncFolder(filepath.Join(path, folderRecords)), durable.SyncFolder(path), durable.SyncFolder(filepath.Dir(path))); err != nil {
		return err
	}
	if err := exportTiles(ctx, l, path, cp.Tree.N); err != nil {
		return err
	}
	newest := audit.Kept{Note: cp.Note}
	if o.Stored != nil {
		if newest.Time, err = o.Stored(ctx, cp.Note); err != nil {
			return err
		}
	}
	var kept []byte
	for _, k := range o.Kept {
		kept = anchor.AppendNote(kept, k.Note)
	}
	about, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(path, folderKept), kept); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(path, folderTimes), writeTimes(append(slices.Clip(o.Kept), newest))); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(path, folderLog), append(about, '\n')); err != nil {
		return err
	}
	// Last of all, because it says that everything else is there.
	return durable.WriteFile(filepath.Join(path, folderCheckpoint), cp.Note)
}

// progressBytes is how many bytes of bodies are written at most without a call of Progress.
const progressBytes = 16 << 20

// maxGaps bounds the gaps between records that an export remembers.
const maxGaps = 100_000

// exportRecords writes the records, and returns the first sequence from which on all are
// there that the stream had.
func exportRecords(ctx context.Context, src audit.Source, path string, info folderInfo, o Options) (from uint64, _ error) {
	if info.To < info.From {
		return info.From, nil
	}
	w := &leafWriter{dir: filepath.Join(path, folderRecords), info: info}
	written, bytes, next := int64(0), 0, info.From
	var gaps []uint64 // where they end; of what is pushed out there is one for each reading
	read := func(seq uint64) {
		if seq > next && len(gaps) < maxGaps {
			gaps = append(gaps, seq)
		}
		next = seq + 1
	}
	err := audit.ReadRecords(ctx, src, info.From, info.To, func(r audit.Record) error {
		read(r.Seq)
		written++
		if bytes += len(r.Data); o.Progress != nil && (written%1024 == 0 || bytes > progressBytes) {
			bytes = 0
			o.Progress(written)
		}
		if err := w.write(r); err != nil || o.Body == nil {
			return err
		}
		body, err := o.Body(ctx, r)
		if err == nil && body != nil {
			err = WriteBody(filepath.Join(path, folderBodies), body)
		}
		return err
	})
	if o.Progress != nil {
		o.Progress(written)
	}
	read(info.To + 1)
	if err = errors.Join(err, w.close()); err != nil || o.Pushed == nil {
		return info.From, err
	}
	first, err := o.Pushed(ctx)
	from = info.From
	for _, end := range gaps {
		if end <= max(first, info.From) {
			from = end
		}
	}
	return from, err
}

// exportTiles writes every tile of the tree. Thousands of small files are not forced to
// disk one by one; a lost one is found by the Verify that follows an export.
func exportTiles(ctx context.Context, l *audit.Log, path string, size int64) error {
	return l.Tiles(ctx, size, func(tile string, data []byte) error {
		name := filepath.Join(path, filepath.FromSlash(tile))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		return os.WriteFile(name, data, 0o600)
	})
}
