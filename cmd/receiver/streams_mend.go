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
	var accept bool
	cmd := &cobra.Command{
		Use:   "mend",
		Short: "Have an embedded store start again that is damaged or has lost something",
		Long: `mend is for a store that the receiver refuses to start on. Restoring its folder from a backup
is better where there is one.

Where something in its files is damaged that the server would lose other messages over, mend
leaves out what has no right checksum, nothing else, and keeps the files as they were in a
folder beside them. Where messages, files or streams are missing, or the folder is not that of
the store that is known, it changes nothing unless you say --accept-loss; then the receiver
goes on without what is missing. Sequence numbers of what is gone are not given again.

Who did it, and what is gone, is recorded among the actions, and audit verify says which
records are missing.`,
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
				return usagef("the streams are on a NATS cluster, which keeps its own files; mend is for nats.mode embedded")
			}
			return a.mend(cmd.Context(), cfg, accept, who.action(job.ActionMend))
		},
	}
	cmd.Flags().BoolVar(&accept, "accept-loss", false, "go on without what is missing, which is recorded")
	who.flags(cmd)
	return cmd
}

func (a *app) mend(ctx context.Context, cfg *config.Config, accept bool, action job.Action) error {
	done, err := publish.Mend(embedded(cfg, a.logger(cfg.Log)), accept, action)
	if err != nil {
		return err
	}
	if err := a.tellMended(done); err != nil || len(done.LeftOut)+len(done.Lost) == 0 {
		return err
	}
	_, stop, err := a.write(ctx, cfg) // opening the store records it
	if err != nil {
		return fmt.Errorf("it is done, and the next `receiver serve` records it; opening the store now did not work: %w", err)
	}
	stop()
	return nil
}

func (a *app) tellMended(done publish.Mended) error {
	if a.output == "json" {
		done.LeftOut, done.Lost = append([]string{}, done.LeftOut...), append([]string{}, done.Lost...)
		return printJSON(a.out, done)
	}
	for _, place := range done.LeftOut {
		if _, err := fmt.Fprintln(a.out, "left out:", printable(place)); err != nil {
			return err
		}
	}
	for _, what := range done.Lost {
		if _, err := fmt.Fprintln(a.out, "lost:", printable(what)); err != nil {
			return err
		}
	}
	switch {
	case len(done.LeftOut) > 0:
		a.say("the files as they were are in %s; keep them, and run `receiver audit verify`", done.Kept)
	case len(done.Lost) > 0:
		a.say("the receiver goes on without it; run `receiver audit verify`")
	default:
		a.say("nothing is damaged or missing, and nothing was changed")
	}
	return nil
}
