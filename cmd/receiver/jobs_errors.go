package main

import (
	"context"

	"github.com/spf13/cobra"

	"receiver/api"
	"receiver/internal/poll"
	"receiver/internal/remote"
	"receiver/internal/service/records"
)

func newJobsErrors(a *app) *cobra.Command {
	var j jobCommand
	var limit int
	var platform bool
	cmd := &cobra.Command{
		Use:   "errors JOB",
		Short: "Print the errors of failed rows of a job",
		Long: `errors prints the errors from the errors event of a job. The receiver fetched them when the job
ended, and keeps them after the platform has deleted the job. With --platform, or if there is no
errors event, it asks the platform.`,
		Example: "  receiver jobs errors --source crm 42114492 --limit 20\n" +
			"  receiver jobs errors --source crm --platform 42114492",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.receiver()
			switch {
			case err != nil:
				return err
			case r != nil:
				return a.remoteErrors(cmd.Context(), r, &j, args[0], limit, platform)
			case !platform:
				found, err := a.storedErrors(cmd.Context(), &j, args[0], limit)
				if found || err != nil {
					return err
				}
			}
			client, _, err := j.client(a)
			if err != nil {
				return err
			}
			for row, err := range client.Errors(cmd.Context(), args[0], limit) {
				if err != nil {
					return err
				}
				if err := a.show().RowError(poll.Row(row)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	j.flags(cmd)
	a.identityFlag(cmd)
	cmd.Flags().IntVar(&limit, "limit", 0, "maximum number of errors to print; 0 is no limit")
	cmd.Flags().BoolVar(&platform, "platform", false, "ask the platform even if there is an errors event")
	return cmd
}

// storedErrors prints what the job's errors event holds, if there is one.
func (a *app) storedErrors(ctx context.Context, j *jobCommand, id string, limit int) (found bool, err error) {
	cfg, err := a.load()
	if err != nil {
		return false, err
	}
	if j.source, _, err = source(cfg, j.source); err != nil {
		return false, err
	}
	bus, done, err := a.opener(cfg).Read(ctx)
	if err != nil {
		a.say("%v; asking the platform", err)
		return false, nil
	}
	defer done()
	rows, why, err := records.RowErrors(ctx, bus, j.source, id)
	if why != "" {
		a.say("%s; asking the platform", why)
	}
	if err != nil || why != "" {
		return false, err
	}
	return true, a.printStoredErrors(rows, limit)
}

// remoteErrors prints the errors that a receiver knows.
func (a *app) remoteErrors(ctx context.Context, r *remote.Receiver, j *jobCommand, id string, limit int, platform bool) error {
	source, err := r.Source(ctx, j.source)
	if err != nil {
		return err
	}
	rows, err := r.RowErrors(ctx, source, id, limit, platform)
	if err != nil {
		return err
	}
	if rows.From == api.RowErrorsFromPlatform && !platform {
		a.say("no errors event of job %s that can be read; the platform was asked", id)
	}
	return a.printStoredErrors(poll.Rows{Rows: rows.Errors, Truncated: rows.Truncated && (limit == 0 || len(rows.Errors) < limit)}, limit)
}

func (a *app) printStoredErrors(rows poll.Rows, limit int) error {
	for i, row := range rows.Rows {
		if limit > 0 && i == limit {
			return nil
		}
		if err := a.show().RowError(row); err != nil {
			return err
		}
	}
	if rows.Truncated {
		a.say("there are more errors; the platform has the rest until it deletes the files of the job")
	}
	return nil
}
