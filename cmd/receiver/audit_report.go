package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/auditlog/report"
	"receiver/internal/durable"
	"receiver/internal/plain"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/records"
	"receiver/internal/version"
)

func newAuditReport(a *app) *cobra.Command {
	var q records.Query
	var f archiveFlags
	var html string
	var keyFiles []string
	cmd := &cobra.Command{
		Use:   "report [RECORD…]",
		Short: "Report what was received and decided, with its proof",
		Long: `report is for a reader who must judge what happened: a regulator, an auditor, a partner. It says of
each record when it came and from where, the key, the verdict and its reason, how the job ended,
and shows the path from the leaf to the signed root. It says which clock each date rests on and
what is not proved. The evidence bundles are in it, so the reader can check it: audit check.

Name records, or select them with --job, --since or other filters of audit list; events of a job
that came by no callback are in it, too. With --html it writes one page without scripts, which a
browser prints. It verifies all that it reports, and reports nothing that does not verify.

A report has at most 1,000 records and 16 MiB. With --identity-file it shows encrypted bodies.`,
		Example: "  receiver audit report --job 42114492 --html report.html\n" +
			"  receiver audit report --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z \\\n" +
			"    --verdict refused --html november.html\n" +
			"  receiver audit report --export archive/2026-11 --job 42114492 --html report.html\n" +
			"  receiver audit report JOBS/12 ATTEMPTS/7",
		RunE: func(cmd *cobra.Command, ids []string) error {
			given := func(name string) bool { return cmd.Flags().Changed(name) }
			filters := []string{"job", "since", "until", "source", "verdict", "reason", "address", "key", "body", "actions"}
			switch {
			case len(ids) == 0 && !given("since") && !given("job"):
				return usagef("name records, such as JOBS/12, or give --job or --since")
			case len(ids) > 0 && slices.ContainsFunc(filters, given):
				return usagef("either name records or give filters")
			case html != "" && a.output == "json":
				return usagef("--html and --output json are both given; leave one out")
			case !given("since"):
				q.Since = "all"
			}
			q.Filter.Events = true
			o := records.ReportOptions{IDs: ids, Query: q}
			var err error
			if o.Report.Every, err = a.every(f, keyFiles); err != nil {
				return err
			}
			return a.auditReport(cmd.Context(), o, f, html)
		},
	}
	filterFlags(cmd.Flags(), &q, "")
	cmd.Flags().StringVar(&html, "html", "", "write one page of HTML to this `file`")
	f.flags(cmd)
	everyFlag(cmd, &keyFiles)
	a.identityFlag(cmd)
	return cmd
}

func (a *app) auditReport(ctx context.Context, o records.ReportOptions, f archiveFlags, html string) (err error) {
	o.Report.Made = time.Now()
	if err := o.Query.Parse(o.Report.Made); err != nil {
		return usagef("--%w", err)
	}
	if o.Config, o.Distrusted, err = a.believed(f.export, f.trustFlags); err != nil {
		return err
	}
	if o.Report.Sources, err = service.Verifiers(o.Config, ""); err != nil {
		return err
	}
	o.Report.Program, _ = version.Read()
	var r report.Report
	if f.export != "" {
		cipher, failed := service.CipherOf(o.Config)
		if failed != nil {
			return failed
		}
		r, err = records.ReportArchive(ctx, f.export, cipher, o)
	} else {
		err = a.openStore(ctx, o.Config, service.Opener.Read, func(store *publish.Store) error {
			r, err = records.Report(ctx, store, o)
			return err
		})
	}
	switch {
	case err != nil:
		return err
	case html != "":
		page, err := r.Page()
		if err != nil {
			return err
		}
		return durable.WriteFile(html, page)
	case a.output == "json":
		return plain.WriteJSON(a.out, r)
	}
	return r.Text(a.out)
}
