package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"receiver/internal/audit"
	"receiver/internal/service/records"
)

func newAuditProve(a *app) *cobra.Command {
	var f proveFlags
	cmd := &cobra.Command{
		Use:   "prove [RECORD…]",
		Short: "Print a bundle that proves records to others",
		Long: `prove prints one JSON document with the complete records, the proof that they are in the log, and
the signed checkpoint with its cosignatures. Anyone with the public key of the log can check it
offline, with audit check or with another program: docs/evidence.md specifies the format. With
--export the records are read from archives, even if the streams no longer have them.

In place of names, the filters of audit list select the records: what it lists, up to 10,000, and
with --job, but not by HTTP, events of the job that came by no callback. A bundle has the records
of one stream, and by HTTP one record; --folder writes as many as it takes. Of a job's callbacks,
those that told something new are in JOBS and repeats in ATTEMPTS. A refused one has no job: find
it by --body.

A body that is too large for a message (only with an external NATS that has a small max_payload)
is not in the bundle. --bodies writes each such body to a folder, for --body of audit check.`,
		Example: "  receiver audit prove JOBS/12 > bundle.json\n" +
			"  receiver audit prove ATTEMPTS/7 ATTEMPTS/8 > refused.json\n" +
			"  receiver audit prove --job 42114492 --folder evidence\n" +
			"  receiver audit prove --export archive/2026-11 JOBS/12 \\\n" +
			"    --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…",
		RunE: func(cmd *cobra.Command, args []string) error { return a.auditProve(cmd.Context(), args, f) },
	}
	f.filters = pflag.NewFlagSet("filters", pflag.ContinueOnError)
	filterFlags(f.filters, &f.query, "all")
	cmd.Flags().AddFlagSet(f.filters)
	cmd.Flags().StringVar(&f.folder, "folder", "", "write a bundle for each stream into this new or empty `folder`")
	cmd.Flags().StringVar(&f.bodies, "bodies", "", "write the bodies that are not in the bundle to this `folder`")
	f.flags(cmd)
	return cmd
}

// proveFlags are the flags of audit prove.
type proveFlags struct {
	query   records.Query
	filters *pflag.FlagSet // those that set the query
	folder  string
	bodies  string
	archiveFlags
}

// filtered reports whether a filter is given.
func (f *proveFlags) filtered() (given bool) {
	f.filters.VisitAll(func(flag *pflag.Flag) { given = given || flag.Changed })
	return given
}

// parse returns the records that are named, and reads the filters.
func (f *proveFlags) parse(ids []string) (records.Selection, error) {
	if f.filtered() == (len(ids) > 0) {
		return nil, usagef("name records such as JOBS/12, or select them by filters such as --job: one of both")
	}
	if err := f.query.Parse(time.Now()); err != nil {
		return nil, usagef("--%w", err)
	}
	f.query.Filter.Events = len(f.query.Filter.Jobs) > 0
	return records.ParseIDs(ids)
}

func (a *app) auditProve(ctx context.Context, ids []string, f proveFlags) error {
	named, err := f.parse(ids)
	if err != nil {
		return err
	}
	r, err := a.receiver()
	switch {
	case err != nil:
		return err
	case r != nil && len(f.keys) > 0:
		return usagef("by HTTP records come from the receiver, and need no --log-key")
	case r != nil && f.bodies != "":
		return usagef("by HTTP there is no --bodies; `receiver audit show RECORD --raw` writes a body")
	case r != nil:
		if named, err = records.By(r).Select(ctx, f.query, named); err != nil {
			return err
		}
		return a.writeBundles(named.ByRecord(), f.folder, "by HTTP a bundle contains one record", func(s records.Selection) ([]byte, error) {
			stream := s.Streams()[0]
			return r.Bundle(ctx, stream, s[stream][0])
		})
	}
	return a.evidence(ctx, f.archiveFlags, func(e records.Evidence) error {
		named, err := e.Select(ctx, f.query, named)
		if err != nil {
			return err
		}
		return a.writeBundles(named.ByStream(), f.folder, "a bundle contains records of one stream", func(s records.Selection) ([]byte, error) {
			return records.Prove(ctx, s, e.Log, func(b audit.Bundle) error { return e.WriteBodies(ctx, f.bodies, b, a.show().Say) })
		})
	})
}

// writeBundles prints the bundle of the only selection, or writes one of each into a folder.
func (a *app) writeBundles(each []records.Selection, folder, why string, prove func(records.Selection) ([]byte, error)) error {
	if folder == "" {
		text, err := records.ProveOne(each, why, prove)
		if err == nil {
			_, err = a.out.Write(text)
		}
		return err
	}
	made, err := records.ProveInto(folder, each, prove)
	if err != nil {
		return err
	}
	return a.show().Bundles(made)
}
