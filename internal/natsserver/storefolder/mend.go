package storefolder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"receiver/internal/durable"
	"receiver/internal/job"
	"receiver/internal/natsserver/blockfile"
	"receiver/internal/publish/conn"
)

// ErrDamaged is returned by Start for a store with damage that a server must not read: it would
// drop the sound messages behind it, or count through a changed sequence until its memory is full.
// Mend leaves out what is damaged.
var ErrDamaged = errors.New("the store is damaged")

const (
	// maxChecked is how many bytes are checked at a start, newest files first: two seconds of work
	// at most. `audit verify` checks all of them.
	maxChecked = 1 << 30
	// maxNamed is how many losses or damaged parts an error lists.
	maxNamed = 5
)

// ownStreams are the streams whose files are checked before a server opens a copy of them. All of
// the program's streams are: a changed byte anywhere means a faulty disk or an intruder.
var ownStreams = []string{
	conn.JobsStream, conn.AttemptsStream, conn.ActionsStream, conn.CheckpointsStream, conn.WatchStream, conn.SubmissionsStream,
	conn.ReplaysStream, conn.SinksStream, objectsOfTiles, objectsOfPayloads,
}

const objectsOfTiles = "OBJ_" + conn.TilesBucket

// objectsOfPayloads is the stream behind the bucket of the bodies.
const objectsOfPayloads = "OBJ_" + conn.PayloadBucket

// blockFile is a file with messages of one of the streams.
type blockFile struct {
	blockfile.Folder
	index   uint32
	size    int64
	changed time.Time
}

// CheckFiles checks the files that were changed since the last clean stop. A file that ends in an
// unfinished record is left to the server, which cuts that off: a crash leaves such a file.
func CheckFiles(folder string) error {
	var since time.Time
	mark := filepath.Join(folder, stopFile)
	stopped, err := os.Stat(mark)
	ahead := err == nil && stopped.ModTime().After(time.Now()) // as a clock was that is set right now
	if err == nil && !ahead {
		since = stopped.ModTime()
	}
	files, err := blockFilesOf(folder)
	if err != nil {
		return fmt.Errorf("checking the store in %s: %w", folder, err)
	}
	slices.SortFunc(files, func(a, b blockFile) int { return b.changed.Compare(a.changed) })
	var found []string
	for left := int64(maxChecked); len(files) > 0 && files[0].changed.After(since) && left >= files[0].size; files = files[1:] {
		left -= files[0].size
		places, err := files[0].harmful()
		if err != nil {
			return formatError(folder, err)
		}
		found = append(found, places...)
	}
	if err := Doubt(folder, found); err != nil {
		return err
	}
	if len(found) == 0 {
		if ahead { // otherwise changes until then would not be noticed
			return os.Chtimes(mark, time.Now(), time.Now())
		}
		return nil
	}
	if more := len(found) - maxNamed; more > 0 {
		found = append(found[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %s; restore the files; or remove the damaged parts with `receiver streams mend`, which keeps the original files, and list the missing records with `receiver audit verify`", ErrDamaged, strings.Join(found, "; "))
}

// harmful returns the damage that the server must not read.
func (f blockFile) harmful() (places []string, err error) {
	_, all, err := f.Sound(f.index)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.Harmful() {
			places = append(places, fmt.Sprintf("%s, %s", f.File(f.index), p))
		}
	}
	return places, nil
}

// blockFilesOf returns the block files of all streams in a server's folder.
func blockFilesOf(folder string) (all []blockFile, err error) {
	for _, stream := range ownStreams {
		msgs := Messages(folder, stream)
		indexes, err := msgs.Indexes()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, index := range indexes {
			info, err := os.Stat(msgs.File(index))
			if err != nil {
				return nil, err
			}
			all = append(all, blockFile{msgs, index, info.Size(), info.ModTime()})
		}
	}
	return all, nil
}

// Mended is what Mend did.
type Mended struct {
	// LeftOut are the damaged parts that were removed from the files, one line each, and Kept is
	// the folder with the original files; empty if nothing was damaged.
	LeftOut []string `json:"left_out"`
	Kept    string   `json:"kept_in"`
	// Lost is what is missing in the store, and was accepted.
	Lost []string `json:"lost"`
}

// Mend removes the damaged parts from the files of a folder on which no server runs. Other losses
// are accepted if accept is true; otherwise the error is ErrLost. The next Start continues without
// what was removed or accepted, and returns the action, with the details of what was done, to be
// recorded. When Mend returns, everything is on disk; no file is replaced before its copy is on
// disk. The error is ErrInUse if a server runs.
func Mend(e Store, accept bool, action job.Action) (done Mended, err error) {
	c, err := Acquire(context.Background(), e.Folder, 0, e.Log)
	if err != nil {
		return done, err
	}
	defer c.Release()
	if err := CheckFormat(e.Folder); err != nil {
		return done, err
	}
	lost, _, err := missing(e)
	if err != nil {
		return done, err
	}
	if done.LeftOut, err = mendFiles(e.Folder, ""); err != nil {
		return done, err
	}
	if err := Doubt(e.Folder, done.LeftOut); err != nil {
		return Mended{}, err
	}
	if !accept && !explains(done.LeftOut, lost) {
		return done, lostError(lost)
	}
	if len(done.LeftOut) > 0 {
		done.Kept = filepath.Join(e.Folder, "damaged-"+time.Now().UTC().Format("20060102T150405.000"))
		if done.LeftOut, err = mendFiles(e.Folder, done.Kept); err != nil {
			return done, err
		}
	}
	after, h, err := missing(e)
	if err != nil || len(done.LeftOut)+len(after) == 0 {
		return done, err
	}
	done.LeftOut, done.Lost = append([]string{}, done.LeftOut...), after
	return done, h.accept(e, done, action)
}

// explains reports whether all that is lost is in files with damage to be removed. Mending accepts
// that by itself.
func explains(leftOut, lost []string) bool {
	return !slices.ContainsFunc(lost, func(line string) bool {
		stream, what, _ := strings.Cut(line, ": ")
		file, _, changed := strings.Cut(what, notAsLeft)
		damaged := func(place string) bool { return strings.Contains(place, filepath.Join(stream, file)+", ") }
		return !changed || !slices.ContainsFunc(leftOut, damaged)
	})
}

// mendFiles removes the damaged parts, and copies the original files to the folder backup; if that
// is empty, it only returns what it would remove.
func mendFiles(folder, backup string) (damage []string, err error) {
	files, err := blockFilesOf(folder)
	if err != nil {
		return nil, fmt.Errorf("repairing the store in %s: %w", folder, err)
	}
	slices.SortFunc(files, func(a, b blockFile) int {
		return cmp.Or(strings.Compare(a.Stream, b.Stream), cmp.Compare(a.index, b.index))
	})
	for _, f := range files {
		places, err := f.mend(backup)
		if err != nil {
			return damage, formatError(folder, err)
		}
		damage = append(damage, places...)
	}
	return damage, nil
}

// mend copies the file to the folder backup, if that is not empty, and then removes its damaged
// parts.
func (f blockFile) mend(backup string) (damage []string, err error) {
	sound, places, err := f.Sound(f.index)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	for _, p := range places {
		damage = append(damage, fmt.Sprintf("%s, %s", f.File(f.index), p))
	}
	if backup == "" {
		return damage, nil
	}
	if err := f.keep(backup); err != nil {
		return nil, err
	}
	return damage, f.Replace(f.index, sound)
}

// keep copies the file into a folder. When it returns, the copy is on disk.
func (f blockFile) keep(backup string) error {
	if err := os.MkdirAll(backup, 0o700); err != nil {
		return err
	}
	path := filepath.Join(backup, fmt.Sprintf("%s-%d.blk", f.Stream, f.index))
	if err := copyFile(f.File(f.index), path); err != nil {
		return err
	}
	copied, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(copied.Sync(), copied.Close(), durable.SyncFolder(backup), durable.SyncFolder(filepath.Dir(backup)))
}
