package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/job"
	"receiver/internal/track"
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
		Short: "List jobs as the stream knows them",
		Long: `list reads the stream JOBS and shows where each job stands: submitted, running, finished,
conflict, overdue or lost. When there are more than --limit, the cursor of the next page goes to
standard error. With --follow it then stays and prints each job that changes.`,
		Example: "  receiver jobs list --state overdue\n" +
			"  receiver jobs list --source crm --object contact --result partial,failed --since 24h -o json\n" +
			"  receiver jobs list --follow",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := f.query(time.Now())
			if err != nil {
				return err
			}
			return a.list(cmd.Context(), q, f.follow)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.source, "source", "", "jobs of this source only")
	flags.StringVar(&f.object, "object", "", "jobs of this object only")
	flags.StringSliceVar(&f.states, "state", nil, "in one of these states: submitted, running, finished, conflict, overdue, lost")
	flags.StringSliceVar(&f.results, "result", nil, "with one of these results: succeeded, partial, failed, cancelled, unknown")
	flags.StringVar(&f.since, "since", "", "submitted since: a duration (24h) or a time (2026-11-23T00:00:00Z)")
	flags.StringVar(&f.until, "until", "", "submitted before: a duration or a time")
	flags.StringVar(&f.text, "text", "", "with this text in id, object or status")
	flags.StringVar(&f.sort, "sort", string(track.ByTime), "order: time (newest first) or id")
	flags.BoolVar(&f.reverse, "reverse", false, "turn the order round")
	flags.IntVar(&f.limit, "limit", 50, "so many at most")
	flags.StringVar(&f.cursor, "cursor", "", "go on behind the page that gave this cursor")
	flags.BoolVar(&f.follow, "follow", false, "stay, and print each job that changes")
	return cmd
}

func (f listFlags) query(now time.Time) (track.Query, error) {
	q := track.Query{
		Source: f.source, Object: f.object, Text: f.text, Sort: track.Sort(f.sort),
		Reverse: f.reverse, Limit: f.limit, Cursor: f.cursor,
	}
	for _, s := range f.states {
		q.States = append(q.States, track.State(s))
	}
	for _, r := range f.results {
		q.Results = append(q.Results, job.Result(r))
	}
	var err error
	if q.Since, err = sinceFlag("since", f.since, now); err != nil {
		return q, err
	}
	q.Until, err = sinceFlag("until", f.until, now)
	return q, err
}

// sinceFlag reads a duration before now, or a time; empty is none.
func sinceFlag(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usagef("--%s %q is neither a duration such as 24h nor a time such as 2026-11-23T00:00:00Z", flag, text)
	}
	return t, nil
}

func (a *app) list(ctx context.Context, q track.Query, follow bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	bus, done, err := a.read(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	p := track.NewProjection(track.ProjectionOptions{Briefs: bus, Snapshots: bus, Log: a.logger(cfg.Log)})
	if err := p.Fill(ctx); err != nil {
		return err
	}
	page, err := p.List(q)
	if err != nil {
		return usageError{err}
	}
	if err := a.printPage(page); err != nil || !follow {
		return err
	}
	changed, err := p.Follow(ctx, q)
	if err != nil {
		return usageError{err}
	}
	running := make(chan struct{})
	go func() {
		defer close(running)
		p.Run(ctx)
	}()
	for j := range changed {
		if err := a.printJobs([]track.Listed{j}, false); err != nil {
			return err
		}
	}
	<-running
	return nil
}

func (a *app) printPage(p track.Page) error {
	if a.output == "json" {
		return printJSON(a.out, p)
	}
	if err := a.printJobs(p.Jobs, true); err != nil {
		return err
	}
	if p.Next != "" {
		a.say("more: --cursor %s", p.Next)
	}
	return nil
}

func (a *app) printJobs(jobs []track.Listed, head bool) error {
	rows := make([][]string, 0, len(jobs))
	for _, j := range jobs {
		if a.output == "json" {
			if err := printJSON(a.out, j); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			j.At.Format(time.RFC3339), j.Source, j.ID, orDash(j.Object), string(j.State), orDash(string(j.Result)),
			orDash(j.Status), number(j.Records), number(j.Failed), orDash(string(j.Evidence)),
		})
	}
	if a.output == "json" {
		return nil
	}
	if head {
		return table(a.out, strings.Fields("SINCE SOURCE JOB OBJECT STATE RESULT STATUS RECORDS FAILED EVIDENCE"), rows)
	}
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
		if _, err := fmt.Fprintln(a.out, strings.Join(row, "  ")); err != nil {
			return err
		}
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
