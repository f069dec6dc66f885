package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
)

// exportFlags are the flags of audit export.
type exportFlags struct {
	since, until string
	who          operatorFlags
}

func newAuditExport(a *app) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write records into an archive that audit verify accepts later",
		Long: `export writes the records of a time, the tiles and all checkpoints into a new folder, one
subfolder for each log, and verifies the archive before it says that it is done. From
then on records may go out of the streams by age, by size or by hand: their leaf hashes
stay, so that what remains and the archive can both still be proved. The export is
recorded as an action. Bodies in the object store, which only an external NATS with a
small max_payload makes necessary, are not in the archive; their digests are.`,
		Example: "  receiver audit export --until 720h archive/2026-11\n" +
			"  receiver audit verify --export archive/2026-11",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.auditExport(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.since, "since", "all", "stored since: a duration (720h), a time (2026-11-01T00:00:00Z), or all")
	cmd.Flags().StringVar(&f.until, "until", "", "stored before: a duration ago, or a time (default now)")
	f.who.flags(cmd)
	return cmd
}

func (a *app) auditExport(ctx context.Context, dir string, f exportFlags) error {
	now := time.Now()
	from, err := since(f.since, now)
	if err != nil {
		return err
	}
	until, err := parseSince(f.until, now)
	if err != nil {
		return usagef("--until: %w", err)
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	keys, err := auditKeys(cfg.Audit)
	if err != nil {
		return err
	}
	if len(keys.Log) == 0 {
		return errNoLogKey
	}
	if err := emptyFolder(dir); err != nil {
		return err
	}
	bus, done, err := a.write(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	e := exporter{app: a, cfg: cfg, bus: bus, keys: keys, dir: dir, from: from, until: until}
	return e.run(ctx, f.who)
}

// emptyFolder makes the folder, and refuses one that holds something.
func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return usagef("making the archive: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return usagef("making the archive: %w", err)
	}
	if len(entries) > 0 {
		return usagef("%s is not empty: an archive is never written over", dir)
	}
	return nil
}

// exporter is one run of audit export.
type exporter struct {
	*app
	cfg         *config.Config
	bus         *publish.Bus
	keys        audit.Keys
	dir         string
	from, until time.Time
}

func (e exporter) run(ctx context.Context, who operatorFlags) error {
	err := act(ctx, e.bus, who.action(job.ActionExport), map[string]any{"since": e.from.UTC(), "until": e.until.UTC()})
	if err != nil {
		return err
	}
	kept, err := gatherKept(ctx, e.cfg, e.bus)
	if err != nil {
		return err
	}
	rows := make([][]string, 0, len(sealedStreams))
	for _, stream := range sealedStreams {
		r, err := e.stream(ctx, stream, kept)
		if err != nil {
			return fmt.Errorf("exporting %s: %w", stream, err)
		}
		if !r.OK() {
			return fmt.Errorf("exporting %s: what was exported does not verify: %v; keep the streams, and run `receiver audit verify`", stream, r.Faults)
		}
		if e.output == "json" {
			err = printJSON(e.out, map[string]any{"origin": r.Origin, "folder": filepath.Join(e.dir, stream), "from": r.From, "to": r.To, "records": r.Records})
		}
		if err != nil {
			return err
		}
		rows = append(rows, []string{r.Origin, fmt.Sprint(r.From), fmt.Sprint(r.To), fmt.Sprint(r.Records), filepath.Join(e.dir, stream)})
	}
	if e.output == "json" {
		return nil
	}
	return table(e.out, []string{"LOG", "FROM", "TO", "RECORDS", "FOLDER"}, rows)
}

// stream exports the records of one log and verifies the result.
func (e exporter) stream(ctx context.Context, stream string, kept *keptCheckpoints) (audit.Report, error) {
	log, err := openLog(ctx, e.bus, e.cfg.Audit.Name, stream, e.keys)
	if err != nil {
		return audit.Report{}, err
	}
	from, to, err := e.bounds(ctx, stream)
	if err != nil {
		return audit.Report{}, err
	}
	folder := filepath.Join(e.dir, stream)
	bar := e.counter("exporting "+stream, "records")
	err = log.Export(ctx, folder, audit.ExportOptions{
		From: from, To: to, Pushed: e.first(stream), Kept: kept.kept[audit.Origin(e.cfg.Audit.Name, stream)],
		Progress: func(n int64) { bar.ChangeMax64(max(n, 1)); _ = bar.Set64(n) },
	})
	_ = bar.Finish()
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return audit.Report{}, fmt.Errorf("%w; `receiver audit seal` makes one", err)
	}
	if err != nil {
		return audit.Report{}, err
	}
	exported, err := audit.OpenFolder(folder)
	if err != nil {
		return audit.Report{}, err
	}
	return exported.Verify(ctx, e.keys, audit.VerifyOptions{})
}

// first asks for the first sequence that a stream holds by then.
func (e exporter) first(stream string) func(context.Context) (uint64, error) {
	return func(ctx context.Context) (uint64, error) {
		extent, err := e.bus.Extent(ctx, stream)
		return extent.First, err
	}
}

// bounds returns the first and the last sequence of the time.
func (e exporter) bounds(ctx context.Context, stream string) (from, to uint64, err error) {
	extent, err := e.bus.Extent(ctx, stream)
	if err != nil {
		return 0, 0, err
	}
	if from, err = e.firstSince(ctx, stream, e.from, extent); err != nil {
		return 0, 0, err
	}
	next, err := e.firstSince(ctx, stream, e.until, extent)
	if next <= from {
		return extent.Last + 1, extent.Last, err // none; and 0 would mean all
	}
	return from, next - 1, err
}

// firstSince returns the first sequence stored since a time; one more than the last if
// there is none.
func (e exporter) firstSince(ctx context.Context, stream string, t time.Time, extent publish.Extent) (uint64, error) {
	if t.IsZero() {
		return max(extent.First, 1), nil
	}
	for m, err := range e.bus.From(ctx, stream, publish.Position{Time: t}, true) {
		return m.Sequence, err
	}
	return min(extent.Last, math.MaxInt64) + 1, nil
}
