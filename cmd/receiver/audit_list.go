package main

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/records"
	"receiver/internal/show"
	"receiver/internal/version"
	"receiver/internal/when"
)

func newAuditList(a *app) *cobra.Command {
	var q records.Query
	var export string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List callbacks, accepted and refused, in order of arrival",
		Long: `list prints one line for each recorded callback, with its verdict. A filter that is given several
times matches any of its values. Control characters in received text are escaped.

Verdicts of callbacks answered 200: accepted, unrecognised, duplicate, late, quarantined,
unconfirmed. The verdict refused has a reason. Answered 401: missing, ambiguous, malformed,
unsupported_algorithm, mismatch, missing_token, mismatch_token, bad_credentials, unknown_source.
Answered 404: wrong_path. Answered 405: wrong_method. Answered 415: encoded.

With --export the records are read from archives, of all times unless --since is given, and no
configuration is needed. They are not verified: run audit verify --export.

With -o csv or -o ocsf (Open Cybersecurity Schema Framework) each line is one callback;
docs/audit.md has the mapping.`,
		Example: "  receiver audit list\n" +
			"  receiver audit list --export archive --job 42114492\n" +
			"  receiver audit list --since 168h --verdict refused --address 198.51.100.0/24\n" +
			"  receiver audit list --since 2026-11-01T00:00:00Z -o csv > november.csv\n" +
			"  receiver audit list --since all --body ae466c30 -o json",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{outputs: "table json ocsf csv"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if export != "" && !cmd.Flags().Changed("since") {
				q.Since = "all"
			}
			return a.auditList(cmd.Context(), q, export)
		},
	}
	exportFlag(cmd, &export)
	filterFlags(cmd, &q)
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "maximum number of records; 0 is no limit")
	return cmd
}

// filterFlags are the flags that say which records are wanted.
func filterFlags(cmd *cobra.Command, q *records.Query) {
	flags := cmd.Flags()
	flags.StringVar(&q.Since, "since", "24h", "stored since: a duration ago (24h), a time\n(2026-11-23T00:00:00Z), or all")
	flags.StringVar(&q.Until, "until", "", "stored before: a duration ago, or a time (default: now)")
	flags.StringArrayVar(&q.Filter.Sources, "source", nil, "source, or the unknown source named in the address")
	flags.StringArrayVar(&q.Filter.Verdicts, "verdict", nil, "verdict, such as refused")
	flags.StringArrayVar(&q.Filter.Reasons, "reason", nil, "reason of a refusal, such as mismatch")
	flags.StringArrayVar(&q.Addresses, "address", nil, "IP address or network (CIDR) of the sender")
	flags.StringArrayVar(&q.Filter.Keys, "key", nil, "name or fingerprint of the key that verified it")
	flags.StringArrayVar(&q.Filter.Jobs, "job", nil, "id of the job")
	flags.StringArrayVar(&q.Filter.Bodies, "body", nil, "SHA-256 of the body in hexadecimal, or its first digits")
	flags.BoolVar(&q.Actions, "actions", false, "also list actions of operators and of the program")
}

// since reads a duration before now, a moment, or all; empty means now.
func since(text string, now time.Time) (time.Time, error) {
	t, err := when.ParseSince(text, now)
	if err != nil {
		return t, usagef("--since %w", err)
	}
	return t, nil
}

func (a *app) auditList(ctx context.Context, q records.Query, export string) error {
	if err := q.Parse(time.Now()); err != nil {
		return usagef("--%w", err)
	}
	program, _ := version.Read()
	out, err := show.NewCallbacks(a.out, a.output, program)
	if err != nil {
		return err
	}
	if export != "" {
		archived, err := records.OpenArchives(export)
		if err == nil {
			_, err = list(out, archived.Entries(ctx, q), q.Limit)
		}
		return errors.Join(err, out.End())
	}
	r, err := a.receiver()
	if err != nil {
		return err
	}
	if r != nil {
		listed, err := list(out, r.Callbacks(ctx, q.Parameters()), q.Limit)
		if err != nil {
			return err
		}
		if listed == 0 && len(q.Filter.Sources) == 1 {
			if err := r.Known(ctx, q.Filter.Sources[0]); err != nil {
				return err
			}
		}
		return out.End()
	}
	return a.withStore(ctx, service.Opener.Read, func(cfg *config.Config, store *publish.Store) error {
		listed, err := list(out, records.Entries(ctx, store, q), q.Limit)
		if err != nil {
			return err
		}
		if listed > 0 {
			return out.End()
		}
		for _, name := range q.Filter.Sources { // none of which an address named, either
			if err := records.CheckSource(ctx, store, job.Pattern(name, "", ""), cfg.SourceNames()); err != nil {
				return usagef("--source: %w", err)
			}
		}
		return out.End()
	})
}

// list prints entries, at most limit if that is not 0, and returns how many.
func list(out show.Callbacks, entries iter.Seq2[auditlog.Entry, error], limit int) (listed int, err error) {
	for e, err := range entries {
		if err == nil {
			err = out.Add(e)
		}
		if err != nil {
			return listed, err
		}
		if listed++; listed == limit {
			break
		}
	}
	return listed, nil
}

// outputs is the annotation of commands that print in more forms than table and json.
const outputs = "outputs"

// outputForms are those that a command prints in.
func outputForms(cmd *cobra.Command) []string {
	return strings.Fields(cmp.Or(cmd.Annotations[outputs], "table json"))
}

// checkOutput refuses a form that a command does not print in.
func (a *app) checkOutput(cmd *cobra.Command) error {
	if a.json {
		if a.output != "json" && cmd.Flags().Changed("output") {
			return usagef("--json and --output %s are both given; leave one out", a.output)
		}
		a.output = "json"
	}
	if forms := outputForms(cmd); !slices.Contains(forms, a.output) {
		return usagef("--output %q is not %s", a.output, strings.Join(forms, " or "))
	}
	return nil
}
