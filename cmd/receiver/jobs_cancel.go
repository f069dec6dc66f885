package main

import "github.com/spf13/cobra"

func newJobsCancel(a *app) *cobra.Command {
	var j jobCommand
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "Ask the platform to cancel a job",
		Long: `cancel asks the platform to end a job. The status it prints may still be one under way;
the finished event comes when the platform calls back.`,
		Example: "  receiver jobs cancel --source crm 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, _, err := j.client(a)
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
	return cmd
}
