package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/job"
)

func newJobsCancel(a *app) *cobra.Command {
	var j jobCommand
	var who operatorFlags
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "Ask the platform to cancel a job",
		Long: `cancel asks the platform to end a job, and records first who asks. The status it prints
may still be one under way; the finished event comes when the platform calls back.`,
		Example: "  receiver jobs cancel --source crm 42114492\n  receiver jobs cancel --source crm --reason 'wrong file' 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, cfg, err := j.client(a)
			if err != nil {
				return err
			}
			bus, done, err := a.write(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			err = act(cmd.Context(), bus, who.action(job.ActionCancel), map[string]any{"source": j.source, "job": args[0]})
			done() // the platform may take its time, and a receiver may start
			if err != nil {
				return err
			}
			status, err := client.Cancel(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printStatus(status)
		},
	}
	j.flags(cmd)
	who.flags(cmd)
	return cmd
}
