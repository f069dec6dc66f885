package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
)

func newJobsFind(a *app) *cobra.Command {
	var j jobCommand
	var where string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "find",
		Short: "Find own jobs at the platform that are not recorded here, and adopt them",
		Long: `find searches the platform's list of jobs for callback addresses with a token of this receiver.
It publishes the submitted event of each such job that has none: the response to its upload was
lost. From then on the receiver watches these jobs as it does others. find needs the
token_secret that the jobs were submitted with.`,
		Example: "  receiver jobs find --source crm\n" +
			"  receiver jobs find --source crm --where \"object_name='contact'\" --dry-run",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, cfg, err := j.client(a)
			if err != nil {
				return err
			}
			// All pages are read before the store opens: a receiver may start meanwhile.
			owned, err := platform.OwnedJobs(cmd.Context(), cfg, client, j.source, where)
			if err != nil {
				return err
			}
			return a.openStore(cmd.Context(), cfg, service.Opener.Write, func(store *publish.Store) error {
				found, err := submit.Adopt(cmd.Context(), store, owned, dryRun)
				if err != nil {
					return err
				}
				return a.show().Found(found)
			})
		},
	}
	j.flags(cmd)
	cmd.Flags().StringVar(&where, "where", "", "filter of the platform, such as object_name='contact'\nor job_status='RUNNING'")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be adopted, and change nothing")
	return cmd
}
