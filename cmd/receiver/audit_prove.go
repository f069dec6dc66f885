package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
)

func newAuditProve(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "prove RECORD…",
		Short: "Print a bundle that proves records to somebody without this receiver",
		Long: `prove prints one JSON document that holds the records whole, the proof that they stand in
the log, and the signed checkpoint with the cosignatures it has. Whoever has the log's
public key can check it offline, with audit check or with a program of their own:
docs/evidence.md specifies the format. All records of a bundle are of one stream.`,
		Example: "  receiver audit prove JOBS/12 > bundle.json\n  receiver audit prove ATTEMPTS/7 ATTEMPTS/8 > refused.json",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.auditProve(cmd.Context(), args) },
	}
}

func (a *app) auditProve(ctx context.Context, records []string) error {
	stream, seqs, err := recordIDs(records)
	if err != nil {
		return err
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
	bus, done, err := a.read(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	log, err := openLog(ctx, bus, cfg.Audit.Name, stream, keys)
	if err != nil {
		return err
	}
	bundle, err := log.Prove(ctx, seqs...)
	switch {
	case errors.Is(err, audit.ErrNotSealed), errors.Is(err, audit.ErrNoCheckpoint):
		return fmt.Errorf("%w; `receiver audit seal` waits for it", err)
	case errors.Is(err, audit.ErrProof), errors.Is(err, audit.ErrTile):
		return fmt.Errorf("%w; `receiver audit verify` says what was changed", err)
	case err != nil:
		return err
	}
	text, err := bundle.Encode()
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}

// recordIDs reads names of records of one stream.
func recordIDs(records []string) (stream string, seqs []uint64, err error) {
	for _, text := range records {
		s, seq, err := recordID(text)
		if err != nil {
			return "", nil, err
		}
		if stream != "" && s != stream {
			return "", nil, usagef("a bundle holds records of one stream: %s and %s need two", stream, s)
		}
		stream, seqs = s, append(seqs, seq)
	}
	return stream, seqs, nil
}
