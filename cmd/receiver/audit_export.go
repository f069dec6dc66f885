package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/audit/archive"
	"receiver/internal/job"
	"receiver/internal/service/archiving"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

// exportFlags are the flags of audit export.
type exportFlags struct {
	since, until string
	bodies       bool
	who          operatorFlags
}

func newAuditExport(a *app) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write records to an archive that audit verify can check later",
		Long: `export writes the records of a period, the tiles of the logs and all checkpoints to a new folder,
with one subfolder for each log. It verifies the archive before it reports success, and records
the export in the stream ACTIONS.

After that, records may be removed from the streams by age, by size or by hand. Their leaf hashes
stay, so the remaining records and the archive can still be proved. Bodies that are too large for a
message (only with an external NATS that has a small max_payload) are files of the archive;
--bodies=false leaves them out.`,
		Example: "  receiver audit export --until 720h archive/2026-11\n" +
			"  receiver audit verify --export archive/2026-11",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.auditExport(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.since, "since", "all", "stored since: a duration ago (720h), a time\n(2026-11-01T00:00:00Z), or all")
	cmd.Flags().StringVar(&f.until, "until", "", "stored before: a duration ago, or a time (default: now)")
	cmd.Flags().BoolVar(&f.bodies, "bodies", true, "also write the bodies that are too large for a message")
	f.who.flags(cmd)
	return cmd
}

func (a *app) auditExport(ctx context.Context, dir string, f exportFlags) error {
	now := time.Now()
	from, err := since(f.since, now)
	if err != nil {
		return err
	}
	until, err := timeFlag("until", f.until, now, now)
	if err != nil {
		return err
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	keys, err := logs.Keys(cfg.Audit)
	if err != nil {
		return err
	}
	if len(keys.Log) == 0 {
		return errNoLogKey
	}
	if err := archive.EmptyFolder(dir); err != nil {
		return usagef("making the archive: %w", err)
	}
	bus, done, err := a.opener(cfg).Write(ctx)
	if err != nil {
		return err
	}
	defer done()
	o := records.ExportOptions{Config: cfg, Keys: keys, From: from, Until: until, Bodies: f.bodies, Progress: a.show().Records}
	exported, err := archiving.Export(ctx, bus, dir, f.who.action(job.ActionExport), o)
	return errors.Join(a.show().Exports(exported), err)
}
