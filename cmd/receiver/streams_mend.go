package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
)

func newStreamsMend(a *app) *cobra.Command {
	var who operatorFlags
	cmd := &cobra.Command{
		Use:   "mend",
		Short: "Leave damaged messages out of the files of an embedded store that does not start",
		Long: `mend is for a store that the receiver refuses to start on, because something in its files
is damaged that the server would lose other messages over. It leaves out what has no right
checksum, nothing else, and keeps the files as they were in a folder beside them. Restoring
the files from a backup is better where there is one. Who did it is recorded among the
actions, and audit verify says which records are missing.`,
		Example: "  receiver streams mend --reason 'the disk failed'\n  receiver audit verify",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if cfg.NATS.Mode == config.ModeExternal {
				return usagef("the streams are on a NATS cluster, which keeps its own files; mend is for nats.mode embedded")
			}
			damage, kept, err := publish.Mend(cfg.Abs(cfg.NATS.Embedded.Folder))
			if err != nil {
				return err
			}
			if err := a.tellMended(damage, kept); err != nil || len(damage) == 0 {
				return err
			}
			return a.recordMended(cmd.Context(), cfg, who.action(job.ActionMend), damage, kept)
		},
	}
	who.flags(cmd)
	return cmd
}

func (a *app) recordMended(ctx context.Context, cfg *config.Config, action job.Action, damage []string, kept string) error {
	bus, done, err := a.write(ctx, cfg)
	if err != nil {
		return fmt.Errorf("the files are mended, but that is not recorded: %w", err)
	}
	defer done()
	return act(ctx, bus, action, map[string]any{"left_out": damage, "kept_in": kept})
}

func (a *app) tellMended(damage []string, kept string) error {
	if a.output == "json" {
		return printJSON(a.out, map[string]any{"left_out": append([]string{}, damage...), "kept_in": kept})
	}
	for _, place := range damage {
		if _, err := fmt.Fprintln(a.out, "left out:", printable(place)); err != nil {
			return err
		}
	}
	if len(damage) == 0 {
		a.say("nothing is damaged, and nothing was changed")
		return nil
	}
	a.say("the files as they were are in %s; keep them, and run `receiver audit verify`", kept)
	return nil
}
