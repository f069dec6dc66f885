package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/durable"
)

// ExportOptions bound an export.
type ExportOptions struct {
	// From and To are the first and the last sequence to export; 0 means the log's first, and
	// the last one sealed. What is not sealed is never exported.
	From, To uint64

	// Pushed returns the first sequence that the stream holds by now, as VerifyOptions.Pushed:
	// the export says that it begins behind what was pushed out before it was read. Nil means
	// that nothing is.
	Pushed func(ctx context.Context) (uint64, error)

	// Kept are other checkpoints to put into the folder.
	Kept []Kept

	// Progress is called now and then with the number of records written; nil means nobody is.
	Progress func(records int64)
}

// Export writes the records of a range, all tiles and the newest checkpoint into a new
// folder at path, in the layout of docs/evidence.md. The folder must not exist, or be
// empty. When it returns, records and checkpoints are on disk. What it holds is what the
// stream holds: verify the folder before anything is removed from the stream. A stream that
// ends before its newest checkpoint does is ErrRewound.
func (l *Log) Export(ctx context.Context, path string, o ExportOptions) error {
	cp, err := l.Checkpoint(ctx)
	if err != nil {
		return err
	}
	last, err := l.o.Source.Last(ctx)
	if err != nil {
		return fmt.Errorf("asking stream %s for its last sequence: %w", l.o.Stream, err)
	}
	end := l.seq(cp.Tree.N) - 1
	if last < end { // nor are its tiles counted, whose number may be the word of a thief of the key
		return fmt.Errorf("stream %s ends at %d, but %d is sealed: %w", l.o.Stream, last, end, ErrRewound)
	}
	if o.To == 0 || o.To > end {
		o.To = end
	}
	info := folderInfo{
		Format: exportFormat, Origin: l.o.Origin, Stream: l.o.Stream, First: l.o.First,
		From: max(o.From, l.o.First), To: o.To,
	}
	if err := makeFolder(path); err != nil {
		return fmt.Errorf("exporting to %s: %w", path, err)
	}
	if err := l.exportAll(ctx, path, info, cp, o); err != nil {
		return fmt.Errorf("exporting to %s: %w", path, err)
	}
	return nil
}

// makeFolder makes the folder and refuses one that already holds something.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) > 0 {
		err = errors.New("the folder is not empty")
	}
	if err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(path, folderRecords), 0o700)
}

func (l *Log) exportAll(ctx context.Context, path string, info folderInfo, cp Checkpoint, o ExportOptions) error {
	from, err := l.exportRecords(ctx, path, info, o)
	if err != nil {
		return err
	}
	info.From = from
	// That the files are there, and the folders that they are in.
	if err := errors.Join(durable.SyncFolder(filepath.Join(path, folderRecords)), durable.SyncFolder(path), durable.SyncFolder(filepath.Dir(path))); err != nil {
		return err
	}
	if err := l.exportTiles(ctx, path, cp.Tree.N); err != nil {
		return err
	}
	var kept []byte
	for _, k := range o.Kept {
		kept = appendNote(kept, k.Note)
	}
	about, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(path, folderKept), kept); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(path, folderLog), append(about, '\n')); err != nil {
		return err
	}
	// Last of all, because it says that everything else is there.
	return durable.WriteFile(filepath.Join(path, folderCheckpoint), cp.Note)
}

// exportRecords writes the records, and returns the first sequence from which on all are
// there that the stream had.
func (l *Log) exportRecords(ctx context.Context, path string, info folderInfo, o ExportOptions) (from uint64, _ error) {
	if info.To < info.From {
		return info.From, nil
	}
	w := &leafWriter{dir: filepath.Join(path, folderRecords), info: info}
	written, next := int64(0), info.From
	var gaps []uint64 // where they end; of what is pushed out there is one for each reading
	read := func(seq uint64) {
		if seq > next && len(gaps) < maxMissing {
			gaps = append(gaps, seq)
		}
		next = seq + 1
	}
	err := records(ctx, l.o.Source, info.From, info.To, func(r Record) error {
		read(r.Seq)
		written++
		if o.Progress != nil && written%1024 == 0 {
			o.Progress(written)
		}
		return w.write(r)
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
func (l *Log) exportTiles(ctx context.Context, path string, size int64) error {
	for _, t := range tlog.NewTiles(tileHeight, 0, size) {
		data, err := l.tile(ctx, t)
		if err != nil {
			return tileError(ctx, "reading tiles", err)
		}
		name := filepath.Join(path, filepath.FromSlash(tileName(t)))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
