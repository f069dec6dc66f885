package main

import (
	"context"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

func newAuditSeal(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "seal",
		Short: "Seal all stored records and print the checkpoints",
		Long: `seal returns when every record that was stored before the call is sealed. A running receiver
seals by itself; seal then waits for it. Without a running receiver, seal does it. It refuses to
sign a checkpoint that contradicts a known one.`,
		Example: "  receiver audit seal\n  receiver audit seal -o json",
		Args:    cobra.NoArgs,
		RunE: a.seals(func(ctx context.Context, cfg *config.Config, store *publish.Store) ([]audit.Checkpoint, error) {
			return logs.Seal(ctx, cfg, store, a.logger(cfg.Log))
		}),
	}
}

// seals runs a command that makes checkpoints, and prints them.
func (a *app) seals(do func(context.Context, *config.Config, *publish.Store) ([]audit.Checkpoint, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		cfg, err := a.load()
		if err != nil {
			return err
		}
		if cfg.Audit.Key.Empty() {
			return usagef("audit.key is not set; make a key with `receiver audit init`")
		}
		return a.openStore(cmd.Context(), cfg, service.Opener.Write, func(store *publish.Store) error {
			checkpoints, err := do(cmd.Context(), cfg, store)
			if err != nil {
				return err
			}
			return a.show().Checkpoints(checkpoints)
		})
	}
}
