package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/job"
	"receiver/internal/plain"
)

// copyFlags are the flags of streams copy.
type copyFlags struct {
	yes  bool
	wait time.Duration
	operatorFlags
}

func newStreamsCopy(a *app) *cobra.Command {
	var f copyFlags
	cmd := &cobra.Command{
		Use:   "copy STREAM",
		Short: "Replace a stream by a copy with the configured storage or retention",
		Long: `copy replaces JOBS, ATTEMPTS, REPLAYS, ACTIONS or CHECKPOINTS if plan says that a setting cannot
be changed in place. It copies the stream to a mirror named STREAM_COPY and back, with the same
sequences and times. Before it removes a stream, it checks that the copy has the same first and
last sequence, the same number of messages, the same first and last message, and all of its
replicas.

Stop the receivers first: during the copy nothing can be stored in the stream, and the platform
retries its callbacks. To continue an interrupted copy, run the same command again. The consumers
of the stream are removed with it. copy needs NATS 2.12 or newer. It records its start in the
stream ACTIONS.`,
		Example: "  receiver streams copy JOBS\n" +
			"  receiver streams copy JOBS --yes --wait 1h && receiver streams apply",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.copyStream(cmd.Context(), args[0], f) },
	}
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask for confirmation; required without a terminal")
	cmd.Flags().DurationVar(&f.wait, "wait", 10*time.Minute, "timeout of the whole copy")
	f.flags(cmd)
	return cmd
}

func (a *app) copyStream(ctx context.Context, stream string, f copyFlags) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if !f.yes && (!plain.IsTerminal(a.in) || !plain.IsTerminal(a.talk)) {
		return usagef("no terminal to ask for confirmation: give --yes to replace stream %s by a copy", stream)
	}
	if !f.yes {
		if err := a.confirm(fmt.Sprintf("Are all receivers stopped? Replace %s by a copy? Type yes to continue: ", stream)); err != nil {
			return err
		}
	}
	survey, done, err := a.opener(cfg).Survey(ctx, true)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	steps := 0
	if err := survey.Copy(ctx, stream, f.action(job.ActionStreams), func(step string) { steps++; a.say("%s", step) }); err != nil {
		return err
	}
	if steps == 0 {
		a.say("%s has no setting that needs a copy; see `receiver streams plan`", stream)
		return nil
	}
	a.say("run `receiver streams apply` for the remaining differences, then `receiver audit verify`")
	return nil
}
