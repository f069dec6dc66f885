package publish

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

	"receiver/internal/job"
)

// ErrDamaged is returned by Start for a store in which something is damaged that the server
// cannot live with: it would drop the sound messages behind it, or count through a changed
// sequence until its memory is full. Mend leaves out what is damaged.
var ErrDamaged = errors.New("the store is damaged")

const (
	// mostLooked is how many bytes are looked through at a start, newest files first: two
	// seconds' work at most. `audit verify` looks through all.
	mostLooked = 1 << 30
	// mostNamed is how many places an error names.
	mostNamed = 5
)

// blockFile is a file of messages of one of our streams.
type blockFile struct {
	stream  string
	index   uint32
	path    string
	size    int64
	changed time.Time
}

// lookThrough looks at the files that were changed since the last clean stop. A file that
// only ends in something unfinished is left to the server, which cuts it off: that is what
// a crash leaves behind.
func lookThrough(folder string) error {
	var since time.Time
	mark := filepath.Join(folder, stopFile)
	stopped, err := os.Stat(mark)
	ahead := err == nil && stopped.ModTime().After(time.Now()) // as a clock was that is set right now
	if err == nil && !ahead {
		since = stopped.ModTime()
	}
	files, err := blockFilesOf(folder)
	if err != nil {
		return fmt.Errorf("looking through the store in %s: %w", folder, err)
	}
	slices.SortFunc(files, func(a, b blockFile) int { return b.changed.Compare(a.changed) })
	var found []string
	for left := int64(mostLooked); len(files) > 0 && files[0].changed.After(since) && left >= files[0].size; files = files[1:] {
		left -= files[0].size
		places, err := files[0].unbearable()
		if err != nil {
			return fmt.Errorf("looking through the store in %s: %w", folder, err)
		}
		found = append(found, places...)
	}
	if len(found) == 0 {
		if ahead { // else it would hide what is changed until then
			return os.Chtimes(mark, time.Now(), time.Now())
		}
		return nil
	}
	if more := len(found) - mostNamed; more > 0 {
		found = append(found[:mostNamed], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %s; restore the files, or let `receiver streams mend` leave out what is damaged and keep it aside, and `receiver audit verify` say what is missing then", ErrDamaged, strings.Join(found, "; "))
}

// unbearable returns the damage that the server must not meet.
func (f blockFile) unbearable() (places []string, err error) {
	_, all, err := soundOf(f.path, f.stream, f.index)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if !p.last || p.far {
			places = append(places, fmt.Sprintf("%s, %s", f.path, p))
		}
	}
	return places, nil
}

// blockFilesOf returns the files of all our streams in a server's folder.
func blockFilesOf(folder string) (all []blockFile, err error) {
	for _, stream := range ownStreams {
		msgs := blockFolder{filepath.Join(folder, "jetstream", ownerAccount, "streams", stream, "msgs"), stream}
		indexes, err := blockFiles(msgs.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, index := range indexes {
			info, err := os.Stat(msgs.name(index))
			if err != nil {
				return nil, err
			}
			all = append(all, blockFile{stream, index, msgs.name(index), info.Size(), info.ModTime()})
		}
	}
	return all, nil
}

// Mended is what Mend did.
type Mended struct {
	// LeftOut are the damaged places that are not in the files any more, one line each, and
	// Kept the folder that the files as they were are kept in; empty if nothing was damaged.
	LeftOut []string `json:"left_out"`
	Kept    string   `json:"kept_in"`
	// Lost is what is missing in the store, and was accepted.
	Lost []string `json:"lost"`
}

// Mend leaves out of the files of a folder, on which no server runs, what is damaged in
// them. What is missing besides is accepted if the caller says so; otherwise the error is
// ErrLost. The next Start goes on without what was left out or accepted, and has the action,
// with what was done as its details, to be recorded. When Mend returns all of it is on disk;
// no file is replaced before its copy is. The error is ErrInUse if a server runs.
func Mend(e Embedded, accept bool, action job.Action) (done Mended, err error) {
	c, err := claimFolder(context.Background(), e.Folder, 0, e.Log)
	if err != nil {
		return done, err
	}
	defer c.release()
	lost, _, err := missing(e)
	if err != nil {
		return done, err
	}
	if done.LeftOut, err = mendFiles(e.Folder, ""); err != nil {
		return done, err
	}
	if !accept && !explains(done.LeftOut, lost) {
		return done, refuse(lost)
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

// explains reports whether all that is lost is in files with damage to be left out, which
// mending is the word for.
func explains(leftOut, lost []string) bool {
	return !slices.ContainsFunc(lost, func(line string) bool {
		stream, what, _ := strings.Cut(line, ": ")
		file, _, changed := strings.Cut(what, notAsLeft)
		damaged := func(place string) bool { return strings.Contains(place, filepath.Join(stream, file)+", ") }
		return !changed || !slices.ContainsFunc(leftOut, damaged)
	})
}

// mendFiles leaves out what is damaged, and keeps the files as they were in the folder aside;
// without one it only says what would be left out.
func mendFiles(folder, aside string) (damage []string, err error) {
	files, err := blockFilesOf(folder)
	if err != nil {
		return nil, fmt.Errorf("mending the store in %s: %w", folder, err)
	}
	slices.SortFunc(files, func(a, b blockFile) int {
		return cmp.Or(strings.Compare(a.stream, b.stream), cmp.Compare(a.index, b.index))
	})
	for _, f := range files {
		places, err := f.mend(aside)
		if err != nil {
			return damage, fmt.Errorf("mending the store in %s: %w", folder, err)
		}
		damage = append(damage, places...)
	}
	return damage, nil
}

// mend keeps the file as it is in a folder, if there is one, and leaves out of it what is
// damaged then.
func (f blockFile) mend(aside string) (damage []string, err error) {
	sound, places, err := soundOf(f.path, f.stream, f.index)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	for _, p := range places {
		damage = append(damage, fmt.Sprintf("%s, %s", f.path, p))
	}
	if aside == "" {
		return damage, nil
	}
	if err := f.keep(aside); err != nil {
		return nil, err
	}
	return damage, replaceBlock(f.path, sound)
}

// keep copies the file into a folder. When it returns the copy is on disk.
func (f blockFile) keep(aside string) error {
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	path := filepath.Join(aside, fmt.Sprintf("%s-%d.blk", f.stream, f.index))
	if err := copyFile(f.path, path); err != nil {
		return err
	}
	copied, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(copied.Sync(), copied.Close(), syncFolder(aside), syncFolder(filepath.Dir(aside)))
}
