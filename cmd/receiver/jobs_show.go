package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/job"
	"receiver/internal/track"
)

func newJobsShow(a *app) *cobra.Command {
	var j jobCommand
	cmd := &cobra.Command{
		Use:   "show JOB",
		Short: "Show where a job stands and every event of it",
		Long: `show folds the events of one job into one view: its state and result, how we know, and
until when its files are kept; how the platform is being asked after it, if it is; and
every event with its evidence.`,
		Example: "  receiver jobs show 42114492\n  receiver jobs show --source crm -o json 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			name, _, err := source(cfg, j.source)
			if err != nil {
				return err
			}
			bus, done, err := a.read(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer done()
			shown, err := track.Show(cmd.Context(), bus, bus, name, args[0])
			if err != nil {
				return err
			}
			if len(shown.View.Cut) > 0 {
				a.say("left out: %s; they are in the bodies of the events, which --identity-file decrypts where they are encrypted",
					strings.Join(shown.View.Cut, ", "))
			}
			if shown.State == "" {
				return fmt.Errorf("nothing is known of job %s of source %s; `receiver jobs status` asks the platform", args[0], name)
			}
			return a.printJob(shown)
		},
	}
	j.flags(cmd)
	a.identityFlag(cmd)
	return cmd
}

func (a *app) printJob(j track.Job) error {
	if a.output == "json" {
		return printJSON(a.out, j)
	}
	if err := table(a.out, []string{"JOB", "SOURCE", "OBJECT", "STATE", "RESULT", "RECORDS", "FAILED", "EXPECTED", "FILES UNTIL"}, [][]string{{
		j.View.ID, j.Source, orDash(j.View.Object), string(j.State), orDash(string(j.View.Result)),
		number(j.View.Records), number(j.View.Failed), yesNo(j.Expected), moment(j.FilesUntil),
	}}); err != nil {
		return err
	}
	if j.View.Error != "" {
		a.say("the platform names an error: %s", printable(j.View.Error))
	}
	if w := j.Watch; w != nil {
		a.say("the platform was asked after it %d times, %d of them without a usable answer; next at %s",
			w.Looks, w.Failures, moment(w.Next))
		if w.Error != "" {
			a.say("last error: %s", printable(w.Error))
		}
	}
	rows := make([][]string, 0, len(j.History))
	for _, e := range j.History {
		by := string(e.Evidence)
		if e.Key != "" {
			by += " " + e.Key
		}
		rows = append(rows, []string{fmt.Sprint(e.Sequence), moment(e.Time), string(e.Kind), orDash(e.Status), orDash(string(e.Result)), by})
	}
	if _, err := fmt.Fprintln(a.out); err != nil {
		return err
	}
	return table(a.out, []string{"SEQ", "TIME", "EVENT", "STATUS", "RESULT", "EVIDENCE"}, rows)
}

// printEvents prints events as they stand in the stream.
func (a *app) printEvents(events []job.Stored) error {
	rows := make([][]string, 0, len(events))
	for _, e := range events {
		if a.output == "json" {
			if err := printJSON(a.out, map[string]any{
				"sequence": e.Sequence, "subject": e.Subject(), "time": e.Time, "evidence": e.Evidence, "job": e.Job,
			}); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			fmt.Sprint(e.Sequence), moment(e.Time), string(e.Kind), e.Job.Status, orDash(string(e.Job.Result)), string(e.Evidence),
		})
	}
	if a.output == "json" {
		return nil
	}
	return table(a.out, []string{"SEQ", "TIME", "EVENT", "STATUS", "RESULT", "EVIDENCE"}, rows)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
