package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
)

func newStreams(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "Compare the streams with the configuration, change their limits and copies, mend their files",
		Example: "  receiver streams plan\n" +
			"  receiver streams apply",
	}
	cmd.AddCommand(newStreamsPlan(a), newStreamsApply(a), newStreamsCopy(a), newStreamsMend(a))
	return cmd
}

func newStreamsPlan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Show what differs between the streams and the configuration; change nothing",
		Long: `plan shows, stream by stream, every setting that is otherwise than configured, what apply
would change and how many stored messages would go for it, and what cannot be changed in
place and what to do then. A receiver never changes a stream by itself: it starts on other
limits with a warning, and not at all where its promises could not be kept.`,
		Example: "  receiver streams plan\n  receiver streams plan -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			survey, done, err := a.survey(cmd.Context(), cfg, a.inspect)
			if err != nil {
				return err
			}
			defer done()
			plan, err := survey.Plan(cmd.Context())
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(a.out, plan)
			}
			return a.printPlan(plan)
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
		Short: "Change limits and copies of the streams to what is configured",
		Long: `apply shows the plan, asks, and makes those of its changes that can be made in place.
Stored messages go only with --drop. It works while receivers run; the change is recorded
in the stream ACTIONS. It exits 0 when the streams are as configured.`,
		Example: "  receiver streams apply\n" +
			"  RECEIVER_NATS_REPLICAS=3 receiver streams apply --yes --wait 10m",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.applyStreams(cmd.Context(), f) },
	}
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask; needed where there is no terminal to ask on")
	cmd.Flags().BoolVar(&f.drop, "drop", false, "stored messages may go where a new limit leaves no room for them")
	cmd.Flags().DurationVar(&f.wait, "wait", time.Minute, "how long to wait for new copies to be complete")
	f.flags(cmd)
	return cmd
}

func (a *app) applyStreams(ctx context.Context, f applyFlags) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if !f.yes && (a.output == "json" || !isTerminal(a.in) || !isTerminal(a.talk)) {
		return usagef("there is no terminal to ask on: say --yes to apply what `receiver streams plan` shows")
	}
	survey, done, err := a.survey(ctx, cfg, a.own(cfg))
	if err != nil {
		return err
	}
	defer done()
	plan, err := survey.Plan(ctx)
	if err != nil {
		return err
	}
	if a.output != "json" {
		if err := a.printPlan(plan); err != nil {
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
		if err := printJSON(a.out, plan); err != nil {
			return err
		}
	}
	if blocked > 0 {
		return fmt.Errorf("%d settings cannot be changed in place; the plan says what to do", blocked)
	}
	return nil
}

// applyPlan makes the changes, if they may be made.
func (a *app) applyPlan(ctx context.Context, survey *publish.Survey, plan publish.Plan, f applyFlags) error {
	if n := plan.Drops(); n > 0 && !f.drop {
		return fmt.Errorf("%d stored messages would go: nothing was changed; say --drop if they may", n)
	}
	if !f.yes {
		if err := a.confirm(ctx, "Apply it? Only yes does: "); err != nil {
			return err
		}
	}
	action := f.action(job.ActionStreams)
	action.Time = time.Now()
	if err := survey.Apply(ctx, plan, f.drop, action, func(stream string) { a.say("%s changed", stream) }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	for _, s := range plan.Streams {
		for _, c := range s.Changes {
			if c.Setting == "num_replicas" && c.Blocked == "" {
				if err := survey.Copied(ctx, s.Stream); err != nil {
					return fmt.Errorf("everything is changed, but %w; `receiver doctor` says when they are", err)
				}
			}
		}
	}
	return nil
}

// confirm asks on the terminal; its error says that the answer was no.
func (a *app) confirm(ctx context.Context, question string) error {
	fmt.Fprint(a.talk, question)
	answer := make(chan string, 1)
	// Reading from a terminal cannot be cut short; if it is not to the end, the process is.
	go func() {
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case said := <-answer:
		if said == "yes" {
			return nil
		}
	case <-ctx.Done():
	}
	return errors.New("nothing was changed")
}

func (a *app) printPlan(p publish.Plan) error {
	var rows [][]string
	for _, s := range p.Streams {
		if s.Missing {
			rows = append(rows, []string{s.Stream, "-", "missing", "-", "`receiver serve` makes it"})
		}
		for _, c := range s.Changes {
			rows = append(rows, []string{s.Stream, c.Setting, c.Have, c.Want, effect(c)})
		}
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.out, "the streams are as configured")
		return err
	}
	return table(a.out, []string{"STREAM", "SETTING", "IS", "CONFIGURED", "EFFECT"}, rows)
}

// effect says what becomes of a change.
func effect(c publish.Change) string {
	text := "apply changes it"
	switch {
	case c.Blocked != "":
		text = "not in place: " + c.Blocked
	case c.Drops > 0:
		text = fmt.Sprintf("apply --drop changes it, and %d stored messages go", c.Drops)
	}
	if c.Refused {
		text += "; no receiver starts on it as it is"
	}
	return text
}

// survey connects to the streams as they are: through the server that runs, else by the
// one that alone returns for the folder.
func (a *app) survey(
	ctx context.Context, cfg *config.Config, alone func(folder string, log zerolog.Logger) (*publish.Server, error),
) (*publish.Survey, closer, error) {
	log := a.logger(cfg.Log)
	options := busOptions(cfg, log)
	if cfg.NATS.Mode == config.ModeExternal {
		survey, err := publish.SurveyCluster(ctx, external(cfg), options)
		if err != nil {
			return nil, nil, err
		}
		return survey, survey.Close, nil
	}
	folder := cfg.Abs(cfg.NATS.Embedded.Folder)
	survey, err := publish.SurveyFolder(ctx, folder, options)
	if err == nil {
		return survey, survey.Close, nil
	}
	if !errors.Is(err, publish.ErrNotRunning) {
		return nil, nil, err
	}
	server, err := alone(folder, log)
	if errors.Is(err, publish.ErrNoStore) {
		return nil, nil, fmt.Errorf("%w; `receiver serve` or `receiver submit` makes them", err)
	}
	if err != nil {
		return nil, nil, err
	}
	survey, err = server.Survey(ctx, options)
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	return survey, func() { survey.Close(); server.Stop() }, nil
}

// inspect opens a copy of the folder, so that looking changes nothing.
func (a *app) inspect(folder string, log zerolog.Logger) (*publish.Server, error) {
	server, err := publish.Inspect(folder, log)
	if err == nil {
		a.say("no receiver runs on %s: reading a private copy of its streams", folder)
	}
	return server, err
}

// own opens the folder itself, if there is anything in it to change.
func (a *app) own(cfg *config.Config) func(string, zerolog.Logger) (*publish.Server, error) {
	return func(folder string, log zerolog.Logger) (*publish.Server, error) {
		if _, err := publish.FolderFacts(folder, busOptions(cfg, log).Streams); err != nil {
			return nil, err
		}
		a.say("no receiver runs on %s: opening its streams for this command", folder)
		server, err := publish.Start(embedded(cfg, log))
		if err != nil {
			return nil, portTaken(cfg.NATS.Embedded.Address, err)
		}
		return server, nil
	}
}
