package archiving

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/durable"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

const (
	// retryAfter is the time between two tries of an export, if the interval is not shorter.
	retryAfter = 10 * time.Minute
	// renewEvery is how often an export renews its lease.
	renewEvery = time.Second
	// unfinished begins the name of an archive that is being made.
	unfinished = ".unfinished-"
	// archiveName is the name of an archive: its time, in UTC.
	archiveName = "20060102T150405Z"
	// restFactor is how much longer an export rests than it works.
	restFactor = 3
	mostRest   = 10 * time.Second
	// maxKept bounds the checkpoints of a log in an archive; of more, every second one is left out.
	maxKept = 100_000
)

// errLost is returned for an export during which another replica took over.
var errLost = errors.New("another replica has begun to export; its archive counts")

// Export writes an archive for an operator, verifies it, and records it twice: before, and when it
// is done, with what was exported.
func Export(ctx context.Context, store *publish.Store, dir string, a job.Action, o records.ExportOptions) ([]records.Exported, error) {
	d := Details{Since: o.From.UTC(), Until: o.Until.UTC()}
	if _, err := act(ctx, store, a, d); err != nil {
		return nil, err
	}
	exported, err := records.Export(ctx, store, dir, o)
	if err != nil {
		return exported, err
	}
	for _, e := range exported {
		if whole, err := filepath.Abs(e.Folder); err == nil {
			e.Folder = whole
		}
		d.Logs = append(d.Logs, e)
	}
	_, err = act(ctx, store, a, d)
	return exported, err
}

func act(ctx context.Context, store *publish.Store, a job.Action, d Details) (sequence uint64, err error) {
	a.Time = time.Now()
	if a.Details, err = json.Marshal(d); err != nil {
		return 0, err
	}
	return store.Act(ctx, a)
}

// exportDue makes an archive if it is time to and this replica's turn.
func (k *Keeper) exportDue(ctx context.Context) {
	if !k.due() || time.Since(k.failed) < min(k.Config.Audit.Export.Interval, retryAfter) {
		return
	}
	ours, err := k.lease.Hold(ctx)
	if err != nil || !ours {
		return // the log of sealing says what is wrong with leases
	}
	folder := k.Config.Abs(k.Config.Audit.Export.Folder)
	began := time.Now()
	archive, err := k.exportOnce(ctx, folder)
	switch {
	case err != nil && ctx.Err() == nil:
		k.failed = time.Now()
		k.Log.Error().Err(err).Str("folder", folder).Msg("exporting to an archive failed and is tried again")
	case archive != "":
		k.Log.Info().Str("folder", archive).Dur("took", time.Since(began)).Msg("exported the new records to an archive and verified it")
	}
	// Its end would come by itself.
	_ = k.lease.Release(context.WithoutCancel(ctx))
}

// due reports whether the interval is over, also after the clock was set back.
func (k *Keeper) due() bool {
	since := time.Since(k.history.last)
	return since < 0 || since >= k.Config.Audit.Export.Interval
}

// exportOnce makes an archive while the lease is ours; it returns its folder, or nothing if there
// is nothing new.
func (k *Keeper) exportOnce(ctx context.Context, folder string) (archive string, err error) {
	if err := k.history.follow(ctx, k.Store); err != nil { // another replica may have been faster
		return "", err
	}
	if !k.due() {
		return "", nil
	}
	if some, err := k.anythingNew(ctx); err != nil || !some {
		return "", err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var p pending
	done := make(chan struct{})
	go func() {
		defer close(done)
		p, err = k.write(ctx, folder)
	}()
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			if cause := context.Cause(ctx); err != nil && cause != nil {
				err = cause
			}
			if err != nil {
				return "", err
			}
			return k.publish(ctx, folder, p)
		case <-tick.C:
			if ours, held := k.lease.Hold(ctx); held == nil && !ours {
				cancel(errLost)
			}
		}
	}
}

// anythingNew reports whether there are sealed records but for the action of the last export.
func (k *Keeper) anythingNew(ctx context.Context) (bool, error) {
	for _, stream := range logs.Streams {
		after := k.history.after[stream]
		if stream == conn.ActionsStream {
			after = max(after, k.history.own)
		}
		log, err := logs.Open(ctx, k.Store, k.Config.Audit, stream, k.keys)
		if err != nil {
			return false, err
		}
		cp, err := log.Checkpoint(ctx)
		if errors.Is(err, audit.ErrNoCheckpoint) {
			return false, nil // each log gets its first one when the receiver starts
		}
		if err != nil {
			return false, err
		}
		if uint64(cp.Tree.N) > after {
			return true, nil
		}
	}
	return false, nil
}

// pending is an archive that is whole and verified and does not have its name yet.
type pending struct {
	path    string
	details Details
}

// write makes a whole archive under a name that says that it is not finished, and verifies it.
func (k *Keeper) write(ctx context.Context, folder string) (p pending, err error) {
	if err := clear(folder); err != nil {
		return p, err
	}
	now := time.Now()
	p.path = filepath.Join(folder, unfinished+now.UTC().Format(archiveName))
	kept, stored, err := k.kept(ctx)
	if err != nil {
		return p, err
	}
	if err := os.Mkdir(p.path, 0o700); err != nil {
		return p, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(p.path))
		}
	}()
	p.details = Details{Since: k.history.until.UTC(), Until: now.UTC(), Unattended: true}
	p.details.Logs, err = records.Export(ctx, k.Store, p.path, records.ExportOptions{
		Config: k.Config, Keys: k.keys, After: k.history.after, Bodies: true, Progress: rests(ctx),
		Kept: func(origin string) []audit.Kept { return kept[origin] }, Stored: stored,
	})
	if err == nil {
		err = syncAll(ctx, p.path)
	}
	return p, err
}

// syncAll brings every file of an archive to disk: tiles are written without.
func syncAll(ctx context.Context, path string) error {
	return filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		return durable.SyncFolder(name) // a file, too
	})
}

// publish gives an archive its name, and then records it: what is recorded is there.
func (k *Keeper) publish(ctx context.Context, folder string, p pending) (string, error) {
	if ours, err := k.lease.Hold(ctx); err != nil || !ours {
		return "", errors.Join(errLost, err, os.RemoveAll(p.path))
	}
	at := p.details.Until
	archive := filepath.Join(folder, at.Format(archiveName))
	for _, err := os.Lstat(archive); err == nil; _, err = os.Lstat(archive) { // by another receiver, or after a change of the clock
		at = at.Add(time.Second)
		archive = filepath.Join(folder, at.Format(archiveName))
	}
	if err := errors.Join(os.Rename(p.path, archive), durable.SyncFolder(folder)); err != nil {
		return "", err
	}
	for i, e := range p.details.Logs {
		p.details.Logs[i].Folder = filepath.Join(archive, e.Stream())
	}
	sequence, err := act(ctx, k.Store, job.Action{What: job.ActionExport}, p.details)
	if err != nil {
		return "", err
	}
	k.history.take(sequence, time.Now(), p.details)
	return archive, nil
}

// clear removes what exports left unfinished that were killed.
func clear(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("audit.export.folder: %w; make the folder, or mount it", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unfinished) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder, e.Name())))
		}
	}
	return err
}

// kept returns the checkpoints since the last export began, by origin, and up to which sequence of
// CHECKPOINTS they were read.
func (k *Keeper) kept(ctx context.Context) (map[string][]audit.Kept, uint64, error) {
	kept := map[string][]audit.Kept{}
	last, err := k.Store.LastSequence(ctx, conn.CheckpointsStream)
	if err != nil {
		return nil, 0, err
	}
	for m, err := range k.Store.From(ctx, conn.CheckpointsStream, publish.Position{Time: k.history.until}, false) {
		if err != nil {
			return nil, 0, err
		}
		if m.Sequence > last {
			break
		}
		cp, err := audit.ReadCheckpoint(m.Data)
		if err != nil {
			continue // audit verify names it
		}
		all := append(kept[cp.Origin], audit.Kept{Where: fmt.Sprintf("%s/%d", conn.CheckpointsStream, m.Sequence), Note: m.Data, Time: m.Time})
		if len(all) > maxKept {
			for i := range len(all) / 2 {
				all[i] = all[2*i+1]
			}
			all = all[:len(all)/2]
		}
		kept[cp.Origin] = all
	}
	return kept, last, nil
}

// rests has an export rest after each step, so that callbacks have the machine.
func rests(ctx context.Context) records.Progress {
	return func(string) (show func(done, total int64), finish func()) {
		worked := time.Now()
		return func(int64, int64) {
			rest := time.NewTimer(min(restFactor*time.Since(worked), mostRest))
			defer rest.Stop()
			select {
			case <-ctx.Done():
			case <-rest.C:
			}
			worked = time.Now()
		}, func() {}
	}
}
