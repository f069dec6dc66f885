package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/records"
)

func newAuditShow(a *app) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "show RECORD",
		Short: "Show one record with headers, body, verdict and seal",
		Long: `show prints one record, named by stream and sequence as in audit list: the headers as received,
the body, the verdict and the key that verified it, the leaf hash, the checkpoint that seals it,
and other records with the same body. Text is escaped, and binary data is shown in hexadecimal.
--raw writes only the body, byte for byte, for another program. An encrypted body is shown only
with an identity that can decrypt it.`,
		Example: "  receiver audit show JOBS/12\n  receiver audit show ATTEMPTS/7 --raw > body.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, seq, err := records.ParseID(args[0])
			if err != nil {
				return err
			}
			r, err := a.receiver()
			if err != nil {
				return err
			}
			if r != nil {
				d, err := r.Callback(cmd.Context(), stream, seq)
				if err != nil {
					return err
				}
				return a.show().Callback(d, raw)
			}
			return a.withStore(cmd.Context(), service.Opener.Read, func(cfg *config.Config, store *publish.Store) error {
				d, err := records.Detail(cmd.Context(), cfg, store, stream, seq)
				if err != nil {
					return err
				}
				return a.show().Callback(d, raw)
			})
		},
	}
	a.identityFlag(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "write only the body, byte for byte")
	return cmd
}
