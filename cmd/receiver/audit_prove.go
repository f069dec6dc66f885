package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
)

func newAuditProve(a *app) *cobra.Command {
	var f proveFlags
	cmd := &cobra.Command{
		Use:   "prove RECORD…",
		Short: "Print a bundle that proves records to somebody without this receiver",
		Long: `prove prints one JSON document that holds the records whole, the proof that they stand in
the log, and the signed checkpoint with the cosignatures it has. Whoever has the log's
public key can check it offline, with audit check or with a program of their own:
docs/evidence.md specifies the format. All records of a bundle are of one stream. With
--export they are taken from an archive, whether they are still in the streams or not.`,
		Example: "  receiver audit prove JOBS/12 > bundle.json\n  receiver audit prove ATTEMPTS/7 ATTEMPTS/8 > refused.json\n" +
			"  receiver audit prove --export archive/2026-11 --log-key receiver/eu-1/JOBS+b3caf33f+AQAB… JOBS/12",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.auditProve(cmd.Context(), args, f) },
	}
	cmd.Flags().StringVar(&f.export, "export", "", "take the records from this folder, which audit export wrote, instead of the streams")
	cmd.Flags().StringArrayVar(&f.logKeys, "log-key", nil, "public key of a log that is believed besides the configured ones (repeatable)")
	return cmd
}

// proveFlags are the flags of audit prove.
type proveFlags struct {
	export  string
	logKeys []string
}

func (a *app) auditProve(ctx context.Context, records []string, f proveFlags) error {
	stream, seqs, err := recordIDs(records)
	if err != nil {
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

// provable opens the log of a stream where it is: in the store, or in an archive.
func (a *app) provable(ctx context.Context, cfg *config.Config, keys audit.Keys, stream, export string) (*audit.Log, closer, error) {
	if export != "" {
		folders, err := exportFolders(export)
		if err != nil {
			return nil, nil, err
		}
		for _, folder := range folders {
			if strings.HasSuffix(folder.Origin(), "/"+stream) {
				log, err := folder.Log(keys)
				return log, func() {}, err
			}
		}
		return nil, nil, usagef("%s holds no records of %s", export, stream)
	}
	bus, done, err := a.read(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	log, err := openLog(ctx, bus, cfg.Audit.Name, stream, keys)
	if err != nil {
		done()
	}
	return log, done, err
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
