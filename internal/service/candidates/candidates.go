// Package candidates finds the words that a shell can complete: those of the program, of the
// configuration and of the newest jobs.
package candidates

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"receiver/internal/access"
	"receiver/internal/auditlog"
	"receiver/internal/cli"
	"receiver/internal/completion"
	"receiver/internal/config"
	"receiver/internal/conformance"
	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/remote"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

// Finder finds words. Its functions are silent: somebody waits at a prompt.
type Finder struct {
	// Config reads the configuration.
	Config func() (*config.Config, error)
	// Attach connects to the store if a receiver or a cluster holds the streams: to copy the files
	// of a store takes longer than anybody waits.
	Attach func(context.Context, *config.Config) (*publish.Store, func(), error)
	// Receiver returns the receiver that is asked by HTTP; nil if there is none.
	Receiver func() (*remote.Receiver, error)
	// Contexts returns the names of contexts.
	Contexts func() []string
}

// Words returns the candidates by flag and argument.
func (f Finder) Words() completion.Words {
	subjects := []string{job.AllJobs}
	for _, k := range job.Kinds {
		subjects = append(subjects, job.Pattern("", "", k))
	}
	contexts := func(context.Context, *cobra.Command) []string { return f.Contexts() }
	return completion.Words{
		"state": completion.Fixed(joblist.States), "result": completion.Fixed(job.Results), "sort": completion.Fixed(joblist.Sorts), "kind": completion.Fixed(job.Kinds),
		"verdict": completion.Fixed(append(slices.Clone(records.Verdicts), auditlog.Action)), "reason": completion.Fixed(records.Reasons),
		"filter": completion.Fixed(subjects), "subject": completion.Fixed(append(slices.Clone(subjects), job.AllAttempts)), "stream": completion.Fixed(append(slices.Clone(logs.Streams), conn.CheckpointsStream)),
		"scope": completion.Fixed(access.Scopes), "only": completion.Fixed(conformance.Classes()[1:]), "output": func(_ context.Context, c *cobra.Command) []string { return cli.OutputForms(c) },
		"source":  f.sources,
		"context": contexts, "contexts": contexts,
		"key":    f.configured((*config.Config).KeyNames),
		"object": f.recent(func(b job.Brief) string { return b.Object }),
		"job":    f.recent(func(b job.Brief) string { return b.ID + "\t" + b.Source + " " + string(b.Kind) }),
		"consumers": f.configured(func(cfg *config.Config, _ string) (names []string) {
			all, _ := consumers.List(cfg.Abs(cfg.NATS.Embedded.Folder))
			for _, c := range all {
				names = append(names, c.Name)
			}
			return names
		}),
		"tokens": f.configured(func(cfg *config.Config, _ string) (names []string) {
			all, _, _ := access.ReadFile(cfg.Abs(cfg.Private.TokensFile))
			for _, t := range all {
				names = append(names, t.Name)
			}
			return names
		}),
	}
}

// sources are the names of the sources, also of a receiver that is asked by HTTP.
func (f Finder) sources(ctx context.Context, c *cobra.Command) []string {
	if r, err := f.Receiver(); err == nil && r != nil {
		return r.SourceNames(ctx)
	}
	return f.configured(func(cfg *config.Config, _ string) []string { return cfg.SourceNames() })(ctx, c)
}

// configured completes with words of the configuration, of the source that --source names.
func (f Finder) configured(of func(cfg *config.Config, source string) []string) completion.Candidates {
	return func(_ context.Context, c *cobra.Command) []string {
		cfg, err := f.Config()
		if err != nil {
			return nil
		}
		source, _ := c.Flags().GetString("source") // none of another type, or none
		return of(cfg, source)
	}
}

// recent completes with words of the newest jobs.
func (f Finder) recent(word func(job.Brief) string) completion.Candidates {
	return func(ctx context.Context, c *cobra.Command) []string {
		return f.configured(func(cfg *config.Config, source string) (all []string) {
			store, done, err := f.Attach(ctx, cfg)
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
