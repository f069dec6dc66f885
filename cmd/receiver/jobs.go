package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/submit"
)

func newJobs(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "Show, find, poll, cancel, release and replay jobs",
		Example: "  receiver jobs list --state running\n" +
			"  receiver jobs show 42114492\n" +
			"  receiver jobs status --source crm 42114492",
	}
	cmd.AddCommand(
		newJobsList(a), newJobsShow(a), newJobsFind(a), newJobsRelease(a),
		newJobsStatus(a), newJobsErrors(a), newJobsResult(a), newJobsCancel(a), newJobsPoll(a), newJobsReplay(a),
	)
	return cmd
}

// jobCommand is a command about one job of one source.
type jobCommand struct {
	source string
}

func (j *jobCommand) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&j.source, "source", "", "name of the configured source (default: the only one)")
}

// client returns the client of the command's source.
func (j *jobCommand) client(a *app) (*submit.Client, *config.Config, error) {
	client, name, cfg, err := a.client(j.source)
	j.source = name
	return client, cfg, err
}
