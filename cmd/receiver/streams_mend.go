package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/service"
)

func newStreamsMend(a *app) *cobra.Command {
	var who operatorFlags
	var accept bool
	cmd := &cobra.Command{
		Use:   "mend",
		Short: "Repair a store that the receiver refuses to start on",
		Long: `mend repairs a store that is damaged or incomplete. If you have a backup of the store's folder,
restore the backup instead.

Damaged files: if the NATS server would drop good messages because of the damage, mend removes
only what has a wrong checksum, and keeps the original files in a folder beside them. A file that
may have the format of another NATS server is not damaged: mend names it and changes nothing.

Missing data: if messages, files or streams are missing, or the folder belongs to another store,
mend changes nothing without --accept-loss. With it, the receiver continues without the missing
data. Sequence numbers of lost messages are not used again.

On a NATS cluster there are no files to repair: with --accept-loss, the receiver continues
without the sealed records that the streams no longer have.

mend records the operator and the loss in the stream ACTIONS; audit verify names the missing
records.`,
		Example: "  receiver streams mend --reason 'the disk failed'\n" +
			"  receiver streams mend --accept-loss --reason 'no backup of the old disk'\n" +
			"  receiver audit verify",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if cfg.NATS.Mode == config.ModeExternal {
				done, err := a.opener(cfg).MendCluster(cmd.Context(), accept, who.action(job.ActionMend))
				if err != nil {
					return err
				}
				return a.show().Mended(done)
			}
			return a.mend(cmd.Context(), cfg, accept, who.action(job.ActionMend))
		},
	}
	cmd.Flags().BoolVar(&accept, "accept-loss", false, "continue without the missing data, and record the loss")
	who.flags(cmd)
	return cmd
}

func (a *app) mend(ctx context.Context, cfg *config.Config, accept bool, action job.Action) error {
	done, err := a.opener(cfg).Mend(accept, action)
	if err != nil {
		return err
	}
	if err := a.show().Mended(done); err != nil || len(done.LeftOut)+len(done.Lost) == 0 {
		return err
	}
	// Opening the store records it.
	if err := a.openStore(ctx, cfg, service.Opener.Write, func(*publish.Store) error { return nil }); err != nil {
		return fmt.Errorf("the repair is done, but opening the store to record it failed: %w; the next `receiver serve` records it", err)
	}
	return nil
}
