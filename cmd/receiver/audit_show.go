package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

func newAuditShow(a *app) *cobra.Command {
	var raw bool
	var f archiveFlags
	cmd := &cobra.Command{
		Use:   "show RECORD",
		Short: "Show one record with headers, body, verdict and seal",
		Long: `show prints one record, named by stream and sequence as in audit list: the headers as received,
the body, the verdict and the key that verified it, the leaf hash, the checkpoint that seals it,
and other records with the same body. Text is escaped, and binary data is shown in hexadecimal.
--raw writes only the body, byte for byte, for another program. An encrypted body is shown only
with an identity that can decrypt it. With --export the record is read from archives, and no
configuration is needed; with a log key, its seal is verified.`,
		Example: "  receiver audit show JOBS/12\n  receiver audit show ATTEMPTS/7 --raw > body.json\n" +
			"  receiver audit show --export archive JOBS/12 --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, seq, err := records.ParseID(args[0])
			if err != nil {
				return err
			}
			d, err := a.detail(cmd.Context(), stream, seq, f)
			if err != nil {
				return err
			}
			return a.show().Callback(d, raw)
		},
	}
	a.identityFlag(cmd)
	f.flags(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "write only the body, byte for byte")
	return cmd
}

// detail reads a record from archives, by HTTP, or from the store.
func (a *app) detail(ctx context.Context, stream string, seq uint64, f archiveFlags) (d *auditlog.Detail, err error) {
	if f.export != "" {
		cfg, distrusted, err := a.believed(f.export, f.trustFlags)
		if err != nil && !errors.Is(err, errNoLogKey) {
			return nil, err
		}
		archived, err := records.OpenArchives(f.export, logs.OfArchive(cfg.Audit, distrusted != nil))
		if err != nil {
			return nil, err
		}
		cipher, err := service.CipherOf(cfg)
		if err != nil {
			return nil, err
		}
		return archived.Detail(ctx, cipher, stream, seq)
	}
	r, err := a.receiver()
	switch {
	case len(f.keys) > 0:
		return nil, usagef("--log-key needs --export; the seal of a stored record is verified with the configured keys")
	case err != nil:
		return nil, err
	case r != nil:
		return r.Callback(ctx, stream, seq)
	}
	err = a.withStore(ctx, service.Opener.Read, func(cfg *config.Config, store *publish.Store) (err error) {
		d, err = records.Detail(ctx, cfg, store, stream, seq, true)
		return err
	})
	return d, err
}
