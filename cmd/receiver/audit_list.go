package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"receiver/internal/cli"
	"receiver/internal/config"
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
times matches any of its values. Control characters in received text are escaped. Without --since,
standard error says how many records are older than that.

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
		Annotations: map[string]string{cli.Outputs: "table json ocsf csv"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case cmd.Flags().Changed("since"):
			case export != "":
				q.Since = "all"
			default:
				q.Since = "" // so that it is said what the default leaves out
			}
			return a.auditList(cmd.Context(), q, export)
		},
	}
	exportFlag(cmd, &export)
	filterFlags(cmd.Flags(), &q, records.DefaultSince)
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "maximum number of records; 0 is no limit")
	return cmd
}

// filterFlags adds the flags that say which records are wanted.
func filterFlags(flags *pflag.FlagSet, q *records.Query, since string) {
	flags.StringVar(&q.Since, "since", since, "stored since: a duration ago (24h), a time\n(2026-11-23T00:00:00Z), or all")
	flags.StringVar(&q.Until, "until", "", "stored before: a duration ago, or a time (default: now)")
	flags.StringArrayVar(&q.Filter.Sources, "source", nil, "source, or the unknown source named in the address")
	flags.StringArrayVar(&q.Filter.Verdicts, "verdict", nil, "verdict, such as refused, or a reason")
	flags.StringArrayVar(&q.Filter.Reasons, "reason", nil, "reason of a refusal, such as mismatch")
	flags.StringArrayVar(&q.Addresses, "address", nil, "IP address or network (CIDR) of the sender")
	flags.StringArrayVar(&q.Filter.Keys, "key", nil, "name or fingerprint of the key that verified it")
	flags.StringArrayVar(&q.Filter.Jobs, "job", nil, "id of the job")
	flags.StringArrayVar(&q.Filter.Bodies, "body", nil, "SHA-256 of the body in hexadecimal, or its first digits")
	flags.BoolVar(&q.Actions, "actions", false, "also actions of operators and of the program")
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
	list := func(trail records.Trail) error {
		left, err := trail.List(ctx, q, out.Add)
		err = errors.Join(err, out.End()) // also of the records before damage
		a.show().LeftOut(left)
		return err
	}
	if export != "" {
		archived, err := records.OpenArchives(export, nil)
		if err != nil {
			return err
		}
		return list(archived.Trail())
	}
	r, err := a.receiver()
	switch {
	case err != nil:
		return err
	case r != nil:
		return list(records.By(r))
	}
	return a.withStore(ctx, service.Opener.Read, func(cfg *config.Config, store *publish.Store) error {
		return list(records.Streams(store, cfg.SourceNames()))
	})
}
