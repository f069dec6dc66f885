package main

import (
	"cmp"
	"context"
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
	"receiver/internal/version"
	"receiver/internal/when"
)

func newAuditList(a *app) *cobra.Command {
	var q records.Query
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List callbacks, accepted and refused, in order of arrival",
		Long: `list prints one line for each recorded callback, with its verdict. A filter that is given several
times matches any of its values. Control characters in received text are escaped.

Verdicts of callbacks answered 200: accepted, unrecognised, duplicate, late, quarantined,
unconfirmed. The verdict refused has a reason. Answered 401: missing, ambiguous, malformed,
unsupported_algorithm, mismatch, missing_token, mismatch_token, bad_credentials, unknown_source.
Answered 404: wrong_path. Answered 405: wrong_method. Answered 415: encoded.

With -o csv or -o ocsf (Open Cybersecurity Schema Framework) each line is one callback;
docs/audit.md has the mapping.`,
		Example: "  receiver audit list\n" +
			"  receiver audit list --since 168h --verdict refused --address 198.51.100.0/24\n" +
			"  receiver audit list --since 2026-11-01T00:00:00Z -o csv > november.csv\n" +
			"  receiver audit list --since all --body ae466c30 -o json",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{outputs: "table json ocsf csv"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return a.auditList(cmd.Context(), q) },
	}
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
	flags.IntVar(&q.Limit, "limit", 0, "maximum number of records; 0 is no limit")
	return cmd
}

// since reads a duration before now, a moment, or all; empty means now.
func since(text string, now time.Time) (time.Time, error) {
	t, err := when.ParseSince(text, now)
	if err != nil {
		return t, usagef("--since %w", err)
	}
	return t, nil
}

func (a *app) auditList(ctx context.Context, q records.Query) error {
	if err := q.Parse(time.Now()); err != nil {
		return usagef("--%w", err)
	}
	return a.withStore(ctx, service.Opener.Read, func(cfg *config.Config, store *publish.Store) error {
		out, err := a.listing()
		if err != nil {
			return err
		}
		listed := 0
		for e, err := range records.Entries(ctx, store, q) {
			if err != nil {
				return err
			}
			if err := out.add(e); err != nil {
				return err
			}
			if listed++; listed == q.Limit {
				break
			}
		}
		if listed > 0 {
			return out.end()
		}
		for _, name := range q.Filter.Sources { // none of which an address named, either
			if err := records.CheckSource(ctx, store, job.Pattern(name, "", ""), cfg.SourceNames()); err != nil {
				return usagef("--source: %w", err)
			}
		}
		return out.end()
	})
}

// listing prints entries in one of the forms.
type listing struct {
	add func(auditlog.Entry) error
	end func() error
}

func (a *app) listing() (listing, error) {
	nothing := func() error { return nil }
	program, _ := version.Read()
	switch a.output {
	case "json":
		return listing{func(e auditlog.Entry) error { return printJSON(a.out, e) }, nothing}, nil
	case "ocsf":
		return listing{func(e auditlog.Entry) error { return printJSON(a.out, auditlog.ToOCSF(e, program)) }, nothing}, nil
	case "csv":
		c, err := auditlog.NewCSV(a.out)
		if err != nil {
			return listing{}, err
		}
		return listing{c.Write, nothing}, nil
	}
	var rows [][]string
	return listing{
		func(e auditlog.Entry) error { rows = append(rows, entryRow(e)); return nil },
		func() error {
			return table(a.out, []string{"ID", "RECEIVED", "SOURCE", "VERDICT", "REASON", "JOB", "REMOTE", "KEY", "BODY"}, rows)
		},
	}, nil
}

func entryRow(e auditlog.Entry) []string {
	source, job := e.Source, e.Job
	if e.Claimed != "" {
		source += " (" + e.Claimed + ")"
	}
	if e.Verdict == auditlog.Action {
		source, job = e.Operator, e.What
	}
	return []string{
		e.ID, e.Received.Format(time.RFC3339), shownText(source), e.Verdict, shownText(e.Reason), shownText(job), shownText(e.Remote), shownText(e.Fingerprint),
		shownText(e.Body[:min(len(e.Body), 8)]),
	}
}

func shownText(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}

// outputs is the annotation of commands that print in more forms than table and json.
const outputs = "outputs"

// outputForms are those that a command prints in.
func outputForms(cmd *cobra.Command) []string {
	return strings.Fields(cmp.Or(cmd.Annotations[outputs], "table json"))
}

// checkOutput refuses a form that a command does not print in.
func checkOutput(cmd *cobra.Command, output string) error {
	if forms := outputForms(cmd); !slices.Contains(forms, output) {
		return usagef("--output %q is not %s", output, strings.Join(forms, " or "))
	}
	return nil
}
