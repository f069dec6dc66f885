package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/job"
	"receiver/internal/plain"
	"receiver/internal/publish/schema"
	"receiver/internal/service/plans"
	"receiver/internal/words"
)

func newStreams(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "Compare, change, copy, move and repair the streams",
		Example: "  receiver streams plan\n" +
			"  receiver streams apply",
	}
	cmd.AddCommand(newStreamsPlan(a), newStreamsApply(a), newStreamsCopy(a), newStreamsMove(a), newStreamsMend(a))
	return cmd
}

func newStreamsPlan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Show the differences between the streams and the configuration",
		Long: `plan shows for each stream every setting that differs from the configuration, what apply would
change, how many stored messages would be deleted, and which settings cannot be changed in place
and what to do about them. It changes nothing.

A receiver never changes a stream by itself. It starts with a warning if limits differ, and
refuses to start if a difference would break its guarantees.`,
		Example: "  receiver streams plan\n  receiver streams plan -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			survey, done, err := a.opener(cfg).Survey(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer done()
			plan, err := survey.Plan(cmd.Context())
			if err != nil {
				return err
			}
			return a.show().Plan(plan)
		},
	}
}

// applyFlags are the flags of streams apply.
type applyFlags struct {
	yes, drop bool
	wait      time.Duration
	operatorFlags
}

func newStreamsApply(a *app) *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Change the streams to the configured limits and replicas",
		Long: `apply shows the plan, asks for confirmation, and makes the changes that can be made in place. It
deletes stored messages only with --drop. It works while receivers run, and records the change in
the stream ACTIONS.

Exit codes: 0 the streams are as configured; 1 they are not; 2 wrong usage or configuration; 3 the
settings are changed, but not all new replicas were there after --wait.`,
		Example: "  receiver streams apply\n" +
			"  RECEIVER_NATS_REPLICAS=3 receiver streams apply --yes --wait 10m",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.applyStreams(cmd.Context(), f) },
	}
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask for confirmation; required without a terminal")
	cmd.Flags().BoolVar(&f.drop, "drop", false, "allow new limits to delete stored messages")
	cmd.Flags().DurationVar(&f.wait, "wait", time.Minute, "time to wait for new replicas")
	f.flags(cmd)
	return cmd
}

func (a *app) applyStreams(ctx context.Context, f applyFlags) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if !f.yes && (a.output == "json" || !plain.IsTerminal(a.in) || !plain.IsTerminal(a.talk)) {
		return usagef("no terminal to ask for confirmation: give --yes to apply the plan of `receiver streams plan`")
	}
	survey, done, err := a.opener(cfg).Survey(ctx, true)
	if err != nil {
		return err
	}
	defer done()
	plan, err := survey.Plan(ctx)
	if err != nil {
		return err
	}
	if a.output != "json" {
		if err := a.show().Plan(plan); err != nil {
			return err
		}
	}
	changes, blocked := plan.Changes()
	if changes > 0 {
		if err := a.applyPlan(ctx, survey, plan, f); err != nil {
			return err
		}
	}
	if a.output == "json" {
		if err := printJSON(a.out, plans.Shown(plan)); err != nil {
			return err
		}
	}
	if blocked > 0 {
		return fmt.Errorf("%s cannot be changed in place; the plan says what to do", words.Count(blocked, "setting"))
	}
	return nil
}

// applyPlan makes the changes, if they may be made.
func (a *app) applyPlan(ctx context.Context, survey *schema.Survey, plan schema.Plan, f applyFlags) error {
	if n := plan.Drops(); n > 0 && !f.drop {
		return fmt.Errorf("nothing was changed: %s would be deleted; give --drop to allow that", words.Count(n, "stored message"))
	}
	if !f.yes {
		if err := a.confirm("Apply the plan? Type yes to continue: "); err != nil {
			return err
		}
	}
	if err := survey.Apply(ctx, plan, f.drop, f.action(job.ActionStreams), func(stream string) { a.say("%s changed", stream) }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	if err := survey.AwaitCopies(ctx, plan); err != nil {
		return unknownf("all settings are changed, but %w; run `receiver doctor` to check again", err)
	}
	return nil
}

// confirm asks on the terminal; its error says that the answer was no.
func (a *app) confirm(question string) error {
	fmt.Fprint(a.talk, question)
	if line, _ := bufio.NewReader(a.in).ReadString('\n'); strings.TrimSpace(line) == "yes" {
		return nil
	}
	return errors.New("nothing was changed")
}
