package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/words"
)

func newJobsShow(a *app) *cobra.Command {
	var j jobCommand
	cmd := &cobra.Command{
		Use:   "show JOB",
		Short: "Show the state of one job and all of its events",
		Long: `show combines all events of a job: its state and result, the evidence for them, the time until
which the platform keeps its files, the next poll of the platform if the job is polled, and each
event with its evidence.`,
		Example: "  receiver jobs show 42114492\n  receiver jobs show --source crm -o json 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSource(cmd.Context(), service.Opener.Read, j.source, func(_ *config.Config, store *publish.Store, name string) error {
				shown, err := poll.Show(cmd.Context(), store, store, name, args[0])
				if err != nil {
					return err
				}
				if shown.State == "" {
					return fmt.Errorf("job %s of source %s is not recorded here; ask the platform with `receiver jobs status`", args[0], name)
				}
				return a.printJob(shown)
			})
		},
	}
	j.flags(cmd)
	a.identityFlag(cmd)
	return cmd
}

func (a *app) printJob(j joblist.Job) error {
	if len(j.View.Cut) > 0 {
		a.say("not shown: %s; they are in the bodies of the events; if these are encrypted, give --identity-file",
			strings.Join(j.View.Cut, ", "))
	}
	if a.output == "json" {
		return printJSON(a.out, j)
	}
	if err := table(a.out, []string{"JOB", "SOURCE", "OBJECT", "STATE", "RESULT", "RECORDS", "FAILED", "EXPECTED", "FILES UNTIL"}, [][]string{{
		j.View.ID, j.Source, cmp.Or(j.View.Object, "-"), string(j.State), cmp.Or(string(j.View.Result), "-"),
		number(j.View.Records), number(j.View.Failed), yesNo(j.Expected), moment(j.FilesUntil),
	}}); err != nil {
		return err
	}
	if j.View.Error != "" {
		a.say("the platform reports an error: %s", printable(j.View.Error))
	}
	if w := j.Watch; w != nil {
		a.say("the platform was polled %s, %s without a usable answer; next poll at %s",
			words.Count(w.Looks, "time"), words.Count(w.Failures, "time"), moment(w.Next))
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
		rows = append(rows, []string{fmt.Sprint(e.Sequence), moment(e.Time), string(e.Kind), cmp.Or(e.Status, "-"), cmp.Or(string(e.Result), "-"), by})
	}
	if _, err := fmt.Fprintln(a.out); err != nil {
		return err
	}
	return table(a.out, []string{"SEQ", "TIME", "EVENT", "STATUS", "RESULT", "EVIDENCE"}, rows)
}

// printEvents prints events as they stand in the stream.
func (a *app) printEvents(events []job.Stored) error {
	object := func(e job.Stored) any {
		return map[string]any{"sequence": e.Sequence, "subject": e.Subject(), "time": e.Time, "evidence": e.Evidence, "job": e.Job}
	}
	return printEach(a, events, object, []string{"SEQ", "TIME", "EVENT", "STATUS", "RESULT", "EVIDENCE"}, func(e job.Stored) []string {
		return []string{fmt.Sprint(e.Sequence), moment(e.Time), string(e.Kind), e.Job.Status, cmp.Or(string(e.Job.Result), "-"), string(e.Evidence)}
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
