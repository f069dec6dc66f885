package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/job"
)

func newJobsShow(a *app) *cobra.Command {
	var j jobCommand
	cmd := &cobra.Command{
		Use:     "show JOB",
		Short:   "Show every event of a job that stands in the stream",
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
			events, err := bus.Job(cmd.Context(), name, args[0])
			if err != nil {
				return err
			}
			if len(events) == 0 {
				return fmt.Errorf("nothing is known of job %s of source %s; `receiver jobs status` asks the platform", args[0], name)
			}
			return a.printEvents(events)
		},
	}
	j.flags(cmd)
	return cmd
}

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
		by := string(e.Evidence)
		if e.Receipt != nil && e.Receipt.Fingerprint != "" {
			by += " " + e.Receipt.Fingerprint
		}
		rows = append(rows, []string{
			fmt.Sprint(e.Sequence), e.Time.UTC().Format(time.RFC3339), string(e.Kind), e.Job.Status, string(e.Job.Result),
			number(e.Job.Records), number(e.Job.Failed), by,
		})
	}
	if a.output == "json" {
		return nil
	}
	return table(a.out, []string{"SEQ", "TIME", "EVENT", "STATUS", "RESULT", "RECORDS", "FAILED", "EVIDENCE"}, rows)
}
