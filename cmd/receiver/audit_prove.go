package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/audit/bundle"
	"receiver/internal/config"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

func newAuditProve(a *app) *cobra.Command {
	var f archiveFlags
	cmd := &cobra.Command{
		Use:   "prove RECORD…",
		Short: "Print a bundle that proves records to others",
		Long: `prove prints one JSON document with the complete records, the proof that they are in the log, and
the signed checkpoint with its cosignatures. Anyone with the public key of the log can check it
offline, with audit check or with another program: docs/evidence.md specifies the format. All
records of a bundle must be from one stream. With --export they are read from an archive, even if
the streams no longer have them.`,
		Example: "  receiver audit prove JOBS/12 > bundle.json\n" +
			"  receiver audit prove ATTEMPTS/7 ATTEMPTS/8 > refused.json\n" +
			"  receiver audit prove --export archive/2026-11 JOBS/12 \\\n" +
			"    --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.auditProve(cmd.Context(), args, f) },
	}
	f.flags(cmd)
	return cmd
}

func (a *app) auditProve(ctx context.Context, ids []string, f archiveFlags) error {
	stream, seqs, err := records.ParseIDs(ids)
	if err != nil {
		return err
	}
	r, err := a.receiver()
	switch {
	case err != nil:
		return err
	case r != nil && (len(seqs) > 1 || len(f.logKeys) > 0):
		return usagef("by HTTP a bundle has one record, and needs no --log-key; prove each record by itself")
	case r != nil:
		text, err := r.Bundle(ctx, stream, seqs[0])
		if err == nil {
			_, err = a.out.Write(text)
		}
		return err
	}
	cfg, keys, err := a.believed(f.export, f.logKeys)
	if err != nil {
		return err
	}
	log, done, err := a.provable(ctx, cfg, keys, stream, f.export)
	if err != nil {
		return err
	}
	defer done()
	proved, err := log.Prove(ctx, seqs...)
	switch {
	case errors.Is(err, audit.ErrNotSealed), errors.Is(err, audit.ErrNoCheckpoint):
		return fmt.Errorf("%w; `receiver audit seal` seals it or waits until it is sealed", err)
	case errors.Is(err, audit.ErrProof), errors.Is(err, audit.ErrTile):
		return fmt.Errorf("%w; run `receiver audit verify` to find the changes", err)
	case err != nil:
		return err
	}
	text, err := bundle.Encode(proved)
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}

// provable opens the log of a stream where it is: in the store, or in an archive.
func (a *app) provable(ctx context.Context, cfg *config.Config, keys audit.Keys, stream, export string) (*audit.Log, func(), error) {
	if export != "" {
		archived, err := records.OpenArchives(export)
		if err != nil {
			return nil, nil, err
		}
		series, err := archived.Series(stream)
		if err != nil {
			return nil, nil, err
		}
		log, err := series.Log(keys)
		return log, func() {}, err
	}
	bus, done, err := a.opener(cfg).Read(ctx)
	if err != nil {
		return nil, nil, err
	}
	log, err := logs.Open(ctx, bus, cfg.Audit.Name, stream, keys)
	if err != nil {
		done()
	}
	return log, done, err
}
