package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/job"
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
		Short: "Replace a stream whose storage or retention is not as configured by a copy of itself",
		Long: `copy replaces JOBS, ATTEMPTS, ACTIONS or CHECKPOINTS where plan says that a setting cannot
be changed in place: through a mirror named STREAM_COPY and back, with the same sequences and
times. Before a stream is removed, the other one has been seen to have the same first and last
sequence, as many messages, the same first and last message, and all of its copies on other
servers; otherwise nothing is removed.

Stop the receivers first. While it is copied nothing is stored in the stream, and the platform
repeats its callbacks. A copy that was interrupted is gone on with by the same command. Consumers go
with the old stream. It needs NATS 2.12 or newer; the start of it is recorded in the stream ACTIONS.`,
		Example: "  receiver streams copy JOBS\n" +
			"  receiver streams copy JOBS --yes --wait 1h && receiver streams apply",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.copyStream(cmd.Context(), args[0], f) },
	}
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask; needed where there is no terminal to ask on")
	cmd.Flags().DurationVar(&f.wait, "wait", 10*time.Minute, "how long it may take altogether")
	f.flags(cmd)
	return cmd
}

func (a *app) copyStream(ctx context.Context, stream string, f copyFlags) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if !f.yes && (!isTerminal(a.in) || !isTerminal(a.talk)) {
		return usagef("there is no terminal to ask on: say --yes to replace stream %s by a copy of itself", stream)
	}
	if !f.yes {
		if err := a.confirm(ctx, fmt.Sprintf("Are the receivers stopped, and shall %s be replaced by a copy of itself? Only yes does: ", stream)); err != nil {
			return err
		}
	}
	survey, done, err := a.survey(ctx, cfg, a.own(cfg))
	if err != nil {
		return err
	}
	defer done()
	action := f.action(job.ActionStreams)
	action.Time = time.Now()
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	steps := 0
	if err := survey.Copy(ctx, stream, action, func(step string) { steps++; a.say("%s", step) }); err != nil {
		return err
	}
	if steps == 0 {
		a.say("nothing of %s takes a copy: see `receiver streams plan`", stream)
		return nil
	}
	a.say("`receiver streams apply` changes what is still otherwise than configured; `receiver audit verify` sees that the seal fits")
	return nil
}
