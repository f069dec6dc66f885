package main

import (
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/jobs"
	"receiver/internal/when"
)

// listFlags are the flags of jobs list.
type listFlags struct {
	source, object, text, since, until, sort, cursor string
	states, results                                  []string
	reverse, follow                                  bool
	limit                                            int
}

func newJobsList(a *app) *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List jobs from the stream JOBS",
		Long: `list reads the stream JOBS and shows the state of each job: submitted, running, finished,
conflict, overdue or lost. If there are more than --limit jobs, the cursor of the next page goes
to standard error. With --follow it keeps running and prints each job that changes.`,
		Example: "  receiver jobs list --state overdue\n" +
			"  receiver jobs list --source crm --object contact --result partial,failed --since 24h\n" +
			"  receiver jobs list --follow",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := f.query(time.Now())
			if err != nil {
				return err
			}
			if _, _, err := q.Check(); err != nil {
				return usagef("%w", err)
			}
			r, err := a.receiver()
			switch {
			case err != nil:
				return err
			case r != nil:
				l, err := jobs.ByHTTP(cmd.Context(), r, q)
				return a.list(l, err, f.follow)
			}
			return a.withStore(cmd.Context(), service.Opener.Read, func(cfg *config.Config, store *publish.Store) error {
				p := joblist.NewProjection(joblist.Options{Briefs: store, Snapshots: store, Log: a.logger(cfg.Log)})
				l, err := jobs.InStore(cmd.Context(), cfg, store, p, q)
				return a.list(l, err, f.follow)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.source, "source", "", "only jobs of this source")
	flags.StringVar(&f.object, "object", "", "only jobs of this object")
	flags.StringSliceVar(&f.states, "state", nil, "only these states: submitted, running, finished, conflict,\noverdue, lost")
	flags.StringSliceVar(&f.results, "result", nil, "only these results: succeeded, partial, failed, cancelled,\nunknown")
	flags.StringVar(&f.since, "since", "", "submitted since: a duration ago (24h) or a time\n(2026-11-23T00:00:00Z)")
	flags.StringVar(&f.until, "until", "", "submitted before: a duration ago or a time")
	flags.StringVar(&f.text, "text", "", "only jobs with this text in id, object or status")
	flags.StringVar(&f.sort, "sort", string(joblist.ByTime), "order: time (newest first) or id")
	flags.BoolVar(&f.reverse, "reverse", false, "reverse the order")
	flags.IntVar(&f.limit, "limit", 50, "maximum number of jobs")
	flags.StringVar(&f.cursor, "cursor", "", "start after the page that printed this cursor")
	flags.BoolVar(&f.follow, "follow", false, "keep running and print each job that changes")
	return cmd
}

func (f listFlags) query(now time.Time) (joblist.Query, error) {
	q := joblist.Query{
		Source: f.source, Object: f.object, Text: f.text, Sort: joblist.Sort(f.sort),
		Reverse: f.reverse, Limit: f.limit, Cursor: f.cursor,
	}
	for _, s := range f.states {
		q.States = append(q.States, joblist.State(s))
	}
	for _, r := range f.results {
		q.Results = append(q.Results, job.Result(r))
	}
	var err error
	if q.Since, err = timeFlag("since", f.since, now, time.Time{}); err != nil {
		return q, err
	}
	q.Until, err = timeFlag("until", f.until, now, time.Time{})
	return q, err
}

// timeFlag reads a flag that is a duration before now, or a time; none is for an empty one.
func timeFlag(flag, text string, now, none time.Time) (time.Time, error) {
	if text == "" {
		return none, nil
	}
	t, err := when.Parse(text, now)
	if err != nil {
		return t, usagef("--%s %w", flag, err)
	}
	return t, nil
}

// list prints jobs, and with follow each that changes.
func (a *app) list(l jobs.Listing, err error, follow bool) error {
	if err == nil {
		err = a.show().Jobs(l.Page)
	}
	if err != nil || !follow {
		return err
	}
	for j, err := range l.Changes {
		if err == nil {
			err = a.show().Changed(j)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
