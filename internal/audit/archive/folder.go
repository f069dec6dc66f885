package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/verification"
)

// exportFormat is the version of the export folder.
const exportFormat = "receiver-export/v1"

// The files of an export folder. Tiles stand under their C2SP names.
const (
	folderLog        = "log.json"    // a folderInfo
	folderCheckpoint = "checkpoint"  // the newest checkpoint; written last: without it the folder is not whole
	folderKept       = "checkpoints" // a file of notes: the other checkpoints that were kept
	folderTimes      = "checkpoint-times"
	folderRecords    = "records" // files of leaves
)

// Bounds on files of a folder, which may come from anybody.
const (
	maxInfo = 64 << 10
	maxNote = 1 << 20
	maxTile = 256 * 32
)

// ErrFolder is returned for a folder that is no export, or whose export was not finished.
var ErrFolder = errors.New("not an export folder")

// folderInfo is log.json. Nothing vouches for it: a wrong origin fails at the checkpoint, a
// wrong first sequence at every leaf, and the range is what the exporter says it holds.
type folderInfo struct {
	Format string `json:"format"`
	Origin string `json:"origin"`
	Stream string `json:"stream"`
	First  uint64 `json:"first_sequence"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
}

// Folder is an export of a log: records, tiles and checkpoints in plain files, to be
// verified where there is no server. It is a Source, a StorageReader and a
// CheckpointReader; it never writes.
type Folder struct {
	path string
	info folderInfo
}

// Open reads what the folder says it is. The error is ErrFolder.
func Open(path string) (*Folder, error) {
	data, err := readBounded(filepath.Join(path, folderLog), maxInfo)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFolder, err)
	}
	f := &Folder{path: path}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f.info); err != nil || dec.More() || f.info.Format != exportFormat {
		return nil, fmt.Errorf("%w: %s is not of format %s", ErrFolder, filepath.Join(path, folderLog), exportFormat)
	}
	if !strings.HasSuffix(f.info.Origin, "/"+f.info.Stream) {
		return nil, fmt.Errorf("%w: %s names stream %q, which is not that of the log %q", ErrFolder, filepath.Join(path, folderLog), f.info.Stream, f.info.Origin)
	}
	if _, err := os.Stat(filepath.Join(path, folderCheckpoint)); err != nil {
		return nil, fmt.Errorf("%w: it has no checkpoint: the export was not finished", ErrFolder)
	}
	return f, nil
}

// Range returns the sequences that the folder says it holds; to is less than from if none.
func (f *Folder) Range() (from, to uint64) { return f.info.From, f.info.To }

// Origin returns the origin that the folder says it is of.
func (f *Folder) Origin() string { return f.info.Origin }

// Log returns the exported log, for reading.
func (f *Folder) Log(keys audit.Keys) (*audit.Log, error) {
	return audit.NewLog(audit.LogOptions{
		Origin: f.info.Origin, Stream: f.info.Stream, First: f.info.First,
		Source: f, Storage: f, Checkpoints: f, Keys: keys,
	})
}

// Verify verifies the export: the checkpoints in it are added to the kept ones, and what
// must be there is what the folder says it holds, unless o says more.
func (f *Folder) Verify(ctx context.Context, keys audit.Keys, o verification.Options) (audit.Report, error) {
	l, err := f.Log(keys)
	if err != nil {
		return audit.Report{}, err
	}
	kept, wrong, err := f.kept(ctx)
	if err != nil {
		return audit.Report{}, err
	}
	o.Kept = append(kept, o.Kept...)
	if o.From == 0 {
		o.From = f.info.From
	}
	if o.To == 0 {
		o.To = f.info.To
	}
	report, err := verification.Verify(ctx, l, o)
	report.Faults = append(report.Faults, wrong...)
	return report, err
}

// kept returns the checkpoints in the folder with the times that it says, and what is wrong with
// the times.
func (f *Folder) kept(ctx context.Context) ([]audit.Kept, []audit.Fault, error) {
	kept, err := anchor.ReadFile(filepath.Join(f.path, folderKept))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	var wrong []audit.Fault
	times, err := readTimes(filepath.Join(f.path, folderTimes))
	if err != nil {
		wrong = []audit.Fault{{Stream: f.info.Stream, Kind: audit.Unreadable, Detail: err.Error()}}
	}
	if newest, _, err := f.Load(ctx); err == nil {
		kept = append(kept, audit.Kept{Where: folderCheckpoint, Note: newest})
	}
	for i, k := range kept {
		if cp, err := audit.ReadCheckpoint(k.Note); err == nil {
			kept[i].Time = times[cp.Tree]
		}
	}
	return kept, wrong, nil
}

// Get implements StorageReader.
func (f *Folder) Get(_ context.Context, name string) ([]byte, error) {
	file, err := openRegular(filepath.Join(f.path, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxTile+1)) // one that is too long is a wrong one
}

// Load implements CheckpointReader.
func (f *Folder) Load(context.Context) ([]byte, uint64, error) {
	data, err := readBounded(filepath.Join(f.path, folderCheckpoint), maxNote)
	return data, 0, err
}

// openRegular opens a file that is no pipe or device, which could block for ever.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

func readBounded(path string, most int64) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, err
}
