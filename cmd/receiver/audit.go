package main

import (
	"github.com/spf13/cobra"
)

func newAudit(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Prove what was received and refused, and find out whether it was changed",
		Long: `The streams are sealed into tamper-evident logs, whose signed checkpoints commit to every
record. The commands beneath look at records, prove them to others, and find out which
of them were changed. docs/audit.md tells how a security team uses them.`,
		Example: "  receiver audit verify\n  receiver audit list --since 24h --reason mismatch\n  receiver audit prove JOBS/12 > bundle.json",
	}
	cmd.AddCommand(
		newAuditInit(a), newAuditKeys(a), newAuditSeal(a), newAuditVerify(a),
		newAuditList(a), newAuditShow(a), newAuditProve(a), newAuditCheck(a),
		newAuditReverify(a), newAuditExport(a),
	)
	return cmd
}
