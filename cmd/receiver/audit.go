package main

import (
	"context"

	"github.com/spf13/cobra"

	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

func newAudit(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List, prove and verify what was received and refused",
		Long: `The streams are sealed into tamper-evident logs (Merkle trees). A signed checkpoint of a log
commits to every record in it. These commands list records, prove them to others, and detect
changed or missing records. docs/audit.md explains how a security team uses them.`,
		Example: "  receiver audit verify\n  receiver audit list --since 24h --reason mismatch\n  receiver audit prove JOBS/12 > bundle.json",
	}
	cmd.AddCommand(
		newAuditInit(a), newAuditKeys(a), newAuditSeal(a), newAuditVerify(a),
		newAuditList(a), newAuditShow(a), newAuditProve(a), newAuditCheck(a), newAuditConsistency(a),
		newAuditReport(a), newAuditReverify(a), newAuditExport(a), newAuditRename(a),
	)
	return cmd
}

// errNoLogKey is what commands say that need the public key of the logs.
var errNoLogKey = usagef("the logs have no key: set audit.key (make one with `receiver audit init`), or give --log-key")

// exportFlag has a command read archives.
func exportFlag(cmd *cobra.Command, folder *string) {
	cmd.Flags().StringVar(folder, "export", "", "read records from this `folder` of archives by audit export,\nnot the streams")
}

// archiveFlags are the flags of commands that read archives and verify what they read.
type archiveFlags struct {
	export string
	trustFlags
}

func (f *archiveFlags) flags(cmd *cobra.Command) {
	exportFlag(cmd, &f.export)
	f.trustFlags.flags(cmd)
}

// evidence gives use what records are proved from: archives, or the store.
func (a *app) evidence(ctx context.Context, f archiveFlags, use func(records.Evidence) error) error {
	cfg, distrusted, err := a.believed(f.export, f.trustFlags)
	if err != nil {
		return err
	}
	opened := func(e records.Evidence, err error) error {
		if err != nil {
			return err
		}
		return use(e)
	}
	if f.export == "" {
		return a.openStore(ctx, cfg, service.Opener.Read, func(store *publish.Store) error { return opened(records.EvidenceIn(ctx, store, cfg)) })
	}
	archived, err := records.OpenArchives(f.export, logs.OfArchive(cfg.Audit, distrusted != nil))
	if err != nil {
		return err
	}
	return opened(archived.Evidence())
}
