package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"receiver/internal/words"
)

// Fsync is how long a disk takes to keep something for good.
type Fsync struct {
	// Folder is where it was measured.
	Folder string
	// Median and Worst are of Times writes of 4 KiB, each with its fsync.
	Median, Worst time.Duration
	Times         int
	// Staged is true if batches are staged in memory, and so have one fsync instead of four.
	Staged bool
	// Clock is that of the file system.
	Clock Clock
}

const (
	fsyncTimes   = 40
	fsyncLeast   = 5 // a slow disk is known by then
	fsyncTime    = 2 * time.Second
	fsyncBytes   = 4 << 10
	fsyncPattern = ".receiver-doctor-*"
)

// MeasureFsync writes and syncs a file in folder a few dozen times, for two seconds at
// most, and removes it.
func MeasureFsync(ctx context.Context, folder string) (_ Fsync, err error) {
	before := time.Now()
	file, err := os.CreateTemp(folder, fsyncPattern)
	if err != nil {
		return Fsync{}, fmt.Errorf("writing in the store's folder: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	block := make([]byte, fsyncBytes)
	var took []time.Duration
	for began := time.Now(); len(took) < fsyncTimes; {
		if len(took) >= fsyncLeast && time.Since(began) > fsyncTime || ctx.Err() != nil {
			break
		}
		start := time.Now()
		if _, err := file.Write(block); err != nil {
			return Fsync{}, fmt.Errorf("writing in the store's folder: %w", err)
		}
		if err := file.Sync(); err != nil {
			return Fsync{}, fmt.Errorf("fsync in the store's folder: %w", err)
		}
		took = append(took, time.Since(start))
	}
	if len(took) == 0 {
		return Fsync{}, fmt.Errorf("measuring fsync: %w", ctx.Err())
	}
	slices.Sort(took)
	f := Fsync{Folder: folder, Median: took[len(took)/2], Worst: took[len(took)-1], Times: len(took)}
	if info, err := file.Stat(); err == nil {
		// File systems stamp by a clock that ticks rather than runs.
		f.Clock = Clock{
			Whose: "the store's file system", Theirs: info.ModTime(), Precision: time.Second, Before: before, After: time.Now(),
		}
	}
	return f, nil
}

// Medians from which fsync is a warning and an error, and beneath which no disk is.
const (
	fsyncSlow    = 50 * time.Millisecond
	fsyncTooSlow = time.Second
	fsyncUnreal  = 20 * time.Microsecond
)

// Figures that turn the time of an fsync into callbacks: docs/performance.md.
const (
	crowd        = 64 // connections that call back at once
	batchFsyncs  = 4  // of an atomic batch that is staged on disk
	gatheredMost = 25_000
)

// Findings says what it means for callbacks where each is synced, which always tells.
func (f Fsync) Findings(always bool) []Finding {
	median := max(f.Median, time.Microsecond)
	alone := perSecond(1, median)
	fsyncs := time.Duration(batchFsyncs)
	if f.Staged {
		fsyncs = 1
	}
	together := min(max(perSecond(crowd, fsyncs*median), alone), gatheredMost)
	found := Finding{What: fmt.Sprintf("fsync takes %v here (median of %d; the worst %v)", round(f.Median), f.Times, round(f.Worst))}
	if !always {
		found.What += "; callbacks do not wait for it"
		return []Finding{found}
	}
	found.What += fmt.Sprintf(": about %s a second one after another, %d with %d at the same time", words.Count(alone, "callback"), together, crowd)
	slow := Finding{
		Severity: Warning, What: found.What,
		Why:     "each callback waits for the disk, and is answered 503 when that takes longer than limits.publish_timeout",
		Setting: "nats.embedded.folder", Change: "folder: a path on a faster disk, best with a write cache that survives a power failure",
	}
	switch {
	case f.Median > fsyncTooSlow:
		slow.Severity = Error
		return []Finding{slow}
	case f.Median > fsyncSlow:
		return []Finding{slow}
	case f.Median < fsyncUnreal:
		found.Severity = Note
		found.Why = "no disk is this fast: memory or a cache answers. Unless it survives a power failure, events whose callbacks were answered 200 can be lost"
	case !f.Staged:
		found.Severity = Note
		found.Why = "no file system in memory is available for staging, so each batch of callbacks needs four fsyncs instead of one"
		found.Change = "provide a tmpfs on /dev/shm of 64 MiB if possible; no acknowledged event is kept only there"
	}
	return []Finding{found}
}

func perSecond(n int, each time.Duration) int { return int(time.Duration(n) * time.Second / each) }

// round leaves three figures at most.
func round(d time.Duration) time.Duration {
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}
