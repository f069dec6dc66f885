package main

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/submit"
)

func newJobsFind(a *app) *cobra.Command {
	var j jobCommand
	var where string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "find",
		Short: "Find jobs of ours at the platform that are not known here, and adopt them",
		Long: `find searches the platform's list of jobs for those whose callback address ends in a
token of ours, and publishes the submitted event of those that have none: jobs whose
upload's answer was lost. From then on they are watched like any other. It needs the
token_secret that they were submitted with.`,
		Example: "  receiver jobs find --source crm\n" +
			"  receiver jobs find --source crm --where \"object_name='contact'\" --dry-run",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, cfg, err := j.client(a)
			if err != nil {
				return err
			}
			found, err := a.find(cmd.Context(), finder{client: client, cfg: cfg, source: j.source, where: where, dryRun: dryRun})
			if err != nil {
				return err
			}
			return a.printFound(found)
		},
	}
	j.flags(cmd)
	cmd.Flags().StringVar(&where, "where", "", "the platform's filter, such as object_name='contact' or job_status='RUNNING'")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be adopted and adopt nothing")
	return cmd
}

// finder searches the platform's jobs for those of one source.
type finder struct {
	client        *submit.Client
	cfg           *config.Config
	source, where string
	dryRun        bool
}

// foundJob is a job of ours at the platform.
type foundJob struct {
	Job        string `json:"job"`
	Object     string `json:"object"`
	Status     string `json:"status"`
	Submission string `json:"submission"`
	// Known is true if its submitted event was there, Adopted if it is there now.
	Known   bool `json:"known"`
	Adopted bool `json:"adopted"`
}

func (a *app) find(ctx context.Context, f finder) ([]foundJob, error) {
	maker, err := tokens(f.cfg)
	if err != nil {
		return nil, err
	}
	if maker == nil {
		return nil, usagef("%s has no token_secret: without it no job can be told to be ours", f.cfg.File)
	}
	// All pages are read before the store opens: a receiver may start meanwhile.
	type ourJob struct {
		submit.Status
		callback.Grant
	}
	var listed []ourJob
	for status, err := range f.client.Jobs(ctx, f.where) {
		if err != nil {
			return nil, err
		}
		if grant, ours := grantOf(maker, f.source, status.NotificationURL); ours {
			listed = append(listed, ourJob{status, grant})
		}
	}
	bus, done, err := a.write(ctx, f.cfg)
	if err != nil {
		return nil, err
	}
	defer done()
	var all []foundJob
	for _, l := range listed {
		status, grant := l.Status, l.Grant
		found := foundJob{Job: status.ID, Object: grant.Object, Status: status.Status, Submission: grant.Submission}
		if found.Known, err = bus.Has(ctx, f.source, status.ID, job.Submitted); err != nil {
			return all, err
		}
		if !found.Known && !f.dryRun {
			event, err := adoption(f.source, grant, status)
			if err != nil {
				return all, err
			}
			if _, err := bus.Publish(ctx, event); err != nil {
				return all, err
			}
			found.Adopted = true
		}
		all = append(all, found)
	}
	return all, nil
}

// grantOf reads the token at the end of a callback address.
func grantOf(maker *callback.Tokens, source, address string) (callback.Grant, bool) {
	if !strings.Contains(address, "/callbacks/"+source+"/") {
		return callback.Grant{}, false
	}
	return maker.Read(source, path.Base(address))
}

// adoption is the submitted event of a job whose submission was lost sight of.
func adoption(source string, g callback.Grant, s submit.Status) (job.Event, error) {
	submitted := s.Created
	if submitted.IsZero() {
		submitted = time.Now()
	}
	return submit.Submission{
		ID: g.Submission, Source: source, Object: g.Object, Direction: s.Direction, Submitted: submitted.UTC(),
	}.Event(submit.Created{ID: s.ID, Status: s.Status, InstanceID: s.InstanceID})
}

func (a *app) printFound(found []foundJob) error {
	if a.output == "json" {
		return printJSON(a.out, found)
	}
	rows := make([][]string, 0, len(found))
	for _, f := range found {
		state := "not known here"
		switch {
		case f.Known:
			state = "known"
		case f.Adopted:
			state = "adopted"
		}
		rows = append(rows, []string{f.Job, f.Object, f.Status, state})
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.out, "the platform lists no job with a callback address of ours")
		return err
	}
	return table(a.out, []string{"JOB", "OBJECT", "STATUS", "HERE"}, rows)
}
