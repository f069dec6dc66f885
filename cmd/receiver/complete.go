package main

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/access"
	"receiver/internal/auditlog"
	"receiver/internal/completion"
	"receiver/internal/config"
	"receiver/internal/conformance"
	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

// completionTime bounds a completion: somebody waits for it at a prompt.
const completionTime = 2 * time.Second

// completions are the words that the shell completes, by flag and argument.
func (a *app) completions() completion.Words {
	subjects := []string{job.AllJobs}
	for _, k := range job.Kinds {
		subjects = append(subjects, job.Pattern("", "", k))
	}
	return completion.Words{
		"state": completion.Fixed(joblist.States), "result": completion.Fixed(job.Results), "sort": completion.Fixed(joblist.Sorts), "kind": completion.Fixed(job.Kinds),
		"verdict": completion.Fixed(append(slices.Clone(records.Verdicts), auditlog.Action)), "reason": completion.Fixed(records.Reasons),
		"filter": completion.Fixed(subjects), "subject": completion.Fixed(append(slices.Clone(subjects), job.AllAttempts)), "stream": completion.Fixed(append(slices.Clone(logs.Streams), conn.CheckpointsStream)),
		"scope": completion.Fixed(access.Scopes), "only": completion.Fixed(conformance.Classes()[1:]), "output": func(_ context.Context, c *cobra.Command) []string { return outputForms(c) },
		"source":  a.sources,
		"context": a.contextNames, "contexts": a.contextNames,
		"key":    a.configured((*config.Config).KeyNames),
		"object": a.recent(func(b job.Brief) string { return b.Object }),
		"job":    a.recent(func(b job.Brief) string { return b.ID + "\t" + b.Source + " " + string(b.Kind) }),
		"consumers": a.configured(func(cfg *config.Config, _ string) (names []string) {
			all, _ := consumers.List(cfg.Abs(cfg.NATS.Embedded.Folder))
			for _, c := range all {
				names = append(names, c.Name)
			}
			return names
		}),
		"tokens": a.configured(func(cfg *config.Config, _ string) (names []string) {
			all, _, _ := access.ReadFile(cfg.Abs(cfg.Private.TokensFile))
			for _, t := range all {
				names = append(names, t.Name)
			}
			return names
		}),
	}
}

// sources are the names of the sources, also of a receiver that is asked by HTTP.
func (a *app) sources(ctx context.Context, c *cobra.Command) (names []string) {
	a.talk = io.Discard
	if r, err := a.receiver(); err == nil && r != nil {
		return r.SourceNames(ctx)
	}
	return a.configured(func(cfg *config.Config, _ string) []string { return cfg.SourceNames() })(ctx, c)
}

func (a *app) contextNames(context.Context, *cobra.Command) []string {
	all, _ := a.contexts()
	return all.Names()
}

// configured completes with words of the configuration, of the source that --source names.
func (a *app) configured(of func(cfg *config.Config, source string) []string) completion.Candidates {
	return func(_ context.Context, c *cobra.Command) []string {
		a.talk = io.Discard
		cfg, err := a.load()
		if err != nil {
			return nil
		}
		source, _ := c.Flags().GetString("source") // none of another type, or none
		return of(cfg, source)
	}
}

// recent completes with words of the newest jobs, if a receiver or a cluster holds the streams: to
// copy the files of a store takes longer than anybody waits.
func (a *app) recent(word func(job.Brief) string) completion.Candidates {
	return func(ctx context.Context, c *cobra.Command) []string {
		return a.configured(func(cfg *config.Config, source string) (all []string) {
			store, done, err := a.opener(cfg).Attach(ctx)
			if err != nil {
				return nil
			}
			defer done()
			jobs, _ := records.RecentJobs(ctx, store) // in part is better than not at all
			for _, b := range jobs {
				if source == "" || source == b.Source {
					all = append(all, word(b))
				}
			}
			return all
		})(ctx, c)
	}
}
