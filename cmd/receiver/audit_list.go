package main

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/publish"
	"receiver/internal/trail"
)

// auditListFlags are the flags of audit list.
type auditListFlags struct {
	since, until string
	addresses    []string
	filter       trail.Filter
	actions      bool
	limit        int
}

func newAuditList(a *app) *cobra.Command {
	var f auditListFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List callbacks, accepted and refused, in the order they came",
		Long: `list prints one line for each callback there is a record of, whatever became of it. Give
filters to narrow it down; a flag given twice asks for either. Nothing that came from
outside reaches the terminal as it was.

Verdicts are accepted, unrecognised, duplicate, late, quarantined, unconfirmed, which
were answered 200, and refused, answered 401 for a reason: missing, ambiguous, malformed,
unsupported_algorithm, mismatch, missing_token, mismatch_token, bad_credentials,
unknown_source; or 404: wrong_path; 405: wrong_method; 415: encoded. With -o ocsf each
line is an event of the Open Cybersecurity Schema Framework; docs/audit.md has the
mapping.`,
		Example: "  receiver audit list\n" +
			"  receiver audit list --since 168h --verdict refused --address 198.51.100.0/24\n" +
			"  receiver audit list --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z -o csv > november.csv\n" +
			"  receiver audit list --since all --body ae466c30 -o json",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{outputs: "table json ocsf csv"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return a.auditList(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "24h", "stored since: a duration (24h), a time (2026-11-23T00:00:00Z), or all")
	flags.StringVar(&f.until, "until", "", "stored before: a duration ago, or a time")
	flags.StringArrayVar(&f.filter.Sources, "source", nil, "source, or what an address claimed to be one")
	flags.StringArrayVar(&f.filter.Verdicts, "verdict", nil, "verdict, such as refused")
	flags.StringArrayVar(&f.filter.Reasons, "reason", nil, "reason of a refusal, such as mismatch")
	flags.StringArrayVar(&f.addresses, "address", nil, "address or network (CIDR) that it came from")
	flags.StringArrayVar(&f.filter.Keys, "key", nil, "name or fingerprint of the key that proved it")
	flags.StringArrayVar(&f.filter.Jobs, "job", nil, "id of the job")
	flags.StringArrayVar(&f.filter.Bodies, "body", nil, "SHA-256 of the body in hexadecimal, or how it begins")
	flags.BoolVar(&f.actions, "actions", false, "list actions of operators and of the program too")
	flags.IntVar(&f.limit, "limit", 0, "stop after so many; 0 means never")
	return cmd
}

func (f *auditListFlags) parse(now time.Time) (err error) {
	if f.filter.Since, err = since(f.since, now); err != nil {
		return err
	}
	if f.until != "" {
		if f.filter.Until, err = since(f.until, now); err != nil {
			return err
		}
	}
	for _, text := range f.addresses {
		network, err := trail.ParseNetwork(text)
		if err != nil {
			return usagef("--address %q is neither an address such as 192.0.2.7 nor a network such as 192.0.2.0/24", text)
		}
		f.filter.Networks = append(f.filter.Networks, network)
	}
	return nil
}

// since reads a duration before now, a moment, or all.
func since(text string, now time.Time) (time.Time, error) {
	if text == "all" {
		return time.Time{}, nil
	}
	return parseSince(text, now)
}

func (a *app) auditList(ctx context.Context, f auditListFlags) error {
	if err := f.parse(time.Now()); err != nil {
		return err
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	bus, done, err := a.read(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	out, err := a.listing()
	if err != nil {
		return err
	}
	listed := 0
	for e, err := range entries(ctx, bus, f.filter, f.actions, nil) {
		if err != nil {
			return err
		}
		if err := out.add(e); err != nil {
			return err
		}
		if listed++; listed == f.limit {
			break
		}
	}
	return out.end()
}

// entries gives what the streams hold, in the order in which it was stored. Of a stream
// that is in after, it begins behind that sequence.
func entries(ctx context.Context, bus *publish.Bus, f trail.Filter, actions bool, after map[string]uint64) iter.Seq2[trail.Entry, error] {
	var streams []iter.Seq2[trail.Entry, error]
	for _, stream := range sealedStreams {
		if stream != publish.ActionsStream || actions {
			streams = append(streams, streamEntries(ctx, bus, stream, f, after[stream]))
		}
	}
	return trail.Merge(streams...)
}

func streamEntries(ctx context.Context, bus *publish.Bus, stream string, f trail.Filter, after uint64) iter.Seq2[trail.Entry, error] {
	start := publish.Position{Time: f.Since}
	if after > 0 {
		start.Sequence = after + 1
	}
	return func(yield func(trail.Entry, error) bool) {
		for m, err := range bus.From(ctx, stream, start, stream != publish.ActionsStream) {
			if err != nil {
				yield(trail.Entry{}, err)
				return
			}
			if !f.Until.IsZero() && !m.Time.Before(f.Until) {
				return
			}
			if e, ok := trail.Read(record(stream, m)); ok && f.Match(e) && !yield(e, nil) {
				return
			}
		}
	}
}

// listing prints entries in one of the forms.
type listing struct {
	add func(trail.Entry) error
	end func() error
}

func (a *app) listing() (listing, error) {
	nothing := func() error { return nil }
	version, _ := build()
	switch a.output {
	case "json":
		return listing{func(e trail.Entry) error { return printJSON(a.out, e) }, nothing}, nil
	case "ocsf":
		return listing{func(e trail.Entry) error { return printJSON(a.out, trail.ToOCSF(e, version)) }, nothing}, nil
	case "csv":
		c, err := trail.NewCSV(a.out)
		if err != nil {
			return listing{}, err
		}
		return listing{c.Write, nothing}, nil
	}
	var rows [][]string
	return listing{
		func(e trail.Entry) error { rows = append(rows, entryRow(e)); return nil },
		func() error {
			return table(a.out, []string{"ID", "RECEIVED", "SOURCE", "VERDICT", "REASON", "JOB", "REMOTE", "KEY", "BODY"}, rows)
		},
	}, nil
}

func entryRow(e trail.Entry) []string {
	source, job := e.Source, e.Job
	if e.Claimed != "" {
		source += " (" + e.Claimed + ")"
	}
	if e.Verdict == trail.Action {
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

// checkOutput refuses a form that a command does not print in.
func checkOutput(cmd *cobra.Command, output string) error {
	forms := cmd.Annotations[outputs]
	if forms == "" {
		forms = "table json"
	}
	for _, f := range strings.Fields(forms) {
		if f == output {
			return nil
		}
	}
	return usagef("--output %q is not %s", output, strings.ReplaceAll(forms, " ", " or "))
}
