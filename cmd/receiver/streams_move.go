package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/plain"
	"receiver/internal/service"
)

// moveFlags are the flags of streams move.
type moveFlags struct {
	to   string
	yes  bool
	wait time.Duration
	operatorFlags
}

func newStreamsMove(a *app) *cobra.Command {
	var f moveFlags
	cmd := &cobra.Command{
		Use:   "move --to FILE",
		Short: "Copy the embedded store to a NATS cluster, to go on there",
		Long: `move copies all streams of the embedded store, with their sequences, times and consumers, to the
cluster of the configuration FILE, which has nats.mode external. It removes nothing on either side
but a stream that an interrupted move has left incomplete in the cluster.
For each stream it waits until the other one has the same first and last sequence, the same number
of messages, the same first and last message, and all of its replicas.

Stop the receiver first: the platform retries its callbacks meanwhile. To continue an interrupted
move, run the same command again. It refuses a cluster that has one of the streams with other
messages. Then the old folder is marked, so that no receiver publishes from it by mistake; it can
still be read and verified. Start the receivers with FILE, and run ` + "`receiver audit verify`" + `.
move records its start in the stream ACTIONS.`,
		Example: "  receiver streams move --to cluster.yaml\n" +
			"  receiver streams move --to cluster.yaml --yes --wait 2h",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.moveStreams(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.to, "to", "", "configuration file with the cluster to move to")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask for confirmation; required without a terminal")
	cmd.Flags().DurationVar(&f.wait, "wait", time.Hour, "timeout of the whole move")
	f.flags(cmd)
	return cmd
}

func (a *app) moveStreams(ctx context.Context, f moveFlags) error {
	if f.to == "" {
		return usagef("where to? give --to with the configuration file of the cluster")
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	to, err := service.ReadConfigLazily(f.to, os.Environ())
	if err != nil {
		return usagef("the configuration of --to has errors:\n%w", err)
	}
	if cfg.NATS.Mode != config.ModeEmbedded || to.NATS.Mode != config.ModeExternal {
		return usagef("nats.mode is %s here and %s in %s, want embedded and external", cfg.NATS.Mode, to.NATS.Mode, f.to)
	}
	if !f.yes && (!plain.IsTerminal(a.in) || !plain.IsTerminal(a.talk)) {
		return usagef("no terminal to ask for confirmation: give --yes to move the streams")
	}
	if !f.yes {
		if err := a.confirm(fmt.Sprintf("Are all receivers stopped? Copy the streams to %s? Type yes to continue: ", strings.Join(to.NATS.URLs, ", "))); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	others, err := a.opener(cfg).Move(ctx, to, f.action(job.ActionStreams), func(step string) { a.say("%s", step) })
	if err != nil {
		return err
	}
	if len(others) > 0 {
		a.say("not moved, because they are not the receiver's: %s", strings.Join(others, ", "))
	}
	a.say("start the receivers with %s, then run `receiver --config %s audit verify`", f.to, f.to)
	return nil
}
