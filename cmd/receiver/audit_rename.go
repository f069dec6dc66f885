package main

import (
	"context"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/service/logs"
)

func newAuditRename(a *app) *cobra.Command {
	var o logs.RenameOptions
	var who operatorFlags
	cmd := &cobra.Command{
		Use:   "rename --from NAME",
		Short: "Continue the logs under a new audit.name or audit.origin",
		Long: `rename continues the logs after audit.name or audit.origin was changed, before which no receiver
seals. Stop every replica first. It records the change in ACTIONS, seals the logs a last time if
their key is still audit.key (otherwise list its public keys in audit.verifier_keys), and signs the
same trees under the new name: audit verify treats both as one log. After a crash, run it again.

With --begin-anew the new logs begin with the records that are left, for logs that cannot be
continued. The old ones are then ended, not forgotten: audit verify goes on to verify them.`,
		Example: "  receiver audit rename --from receiver\n" +
			"  receiver audit rename --from receiver/eu-1 --operator 'M. Weber'",
		Args: cobra.NoArgs,
		RunE: a.seals(func(ctx context.Context, cfg *config.Config, store *publish.Store) ([]audit.Checkpoint, error) {
			o.Action = who.action(job.ActionRename)
			return logs.Rename(ctx, cfg, store, a.logger(cfg.Log), o)
		}),
	}
	cmd.Flags().StringVar(&o.From, "from", "", "old `name` of the logs; with their old audit.origin, if that\nchanged, as ORIGIN/NAME")
	cmd.Flags().BoolVar(&o.Anew, "begin-anew", false, "do not continue the old logs")
	who.flags(cmd)
	required(cmd, "from")
	return cmd
}
