package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/cli"
	"receiver/internal/durable"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

// consistencyFlags are the flags of audit consistency.
type consistencyFlags struct {
	proof, write string
	archiveFlags
}

func newAuditConsistency(a *app) *cobra.Command {
	var f consistencyFlags
	cmd := &cobra.Command{
		Use:   "consistency OLD NEW",
		Short: "Check that two bundles or checkpoints are of one history",
		Long: `consistency answers whether the later of two checkpoints of a log extends the earlier one: between
them nothing was changed, removed or inserted. OLD and NEW are bundles, of which the checkpoint
counts, or signed checkpoints. The one of fewer leaves is the earlier one.

With --proof it needs only the three files and --log-key: no receiver, no network and no
configuration. Without it the proof is made from the streams, or with --export from an archive, and
checked; --write keeps it for others. Both checkpoints must be signed by a --log-key or, without
one, by a key of the configuration.

Exit codes: 0 one history; 1 not; 2 wrong usage or configuration; 3 not known.`,
		Example: "  receiver audit consistency january.json june.json --write proof.json\n" +
			"  receiver audit consistency january.json june.json --proof proof.json \\\n" +
			"    --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…",
		Args:        cobra.ExactArgs(2),
		Annotations: map[string]string{cli.Question: "yes"},
		RunE:        func(cmd *cobra.Command, args []string) error { return a.auditConsistency(cmd.Context(), args, f) },
	}
	cmd.Flags().StringVar(&f.proof, "proof", "", "`file` with the proof, from --write")
	cmd.Flags().StringVar(&f.write, "write", "", "write the proof to this `file`")
	f.flags(cmd)
	return cmd
}

func (a *app) auditConsistency(ctx context.Context, args []string, f consistencyFlags) error {
	switch {
	case f.proof != "" && f.write+f.export != "":
		return usagef("--proof is checked by itself; leave out --write and --export")
	case f.proof != "" && len(f.keys) == 0:
		return usagef("--proof needs --log-key; `receiver audit keys` prints it")
	}
	keys, err := audit.ParseKeys(f.keys, nil)
	if err != nil {
		return usagef("%w", err)
	}
	if len(f.keys) == 0 || f.config {
		cfg, _, err := a.believed(f.export, f.trustFlags)
		if err != nil {
			return err
		}
		if keys, err = logs.Keys(cfg.Audit); err != nil {
			return err
		}
	}
	var files [3][]byte
	for i, name := range append(args, f.proof) {
		if name == "" {
			continue
		}
		if files[i], err = a.readBody(ctx, []string{name}); err != nil {
			return err
		}
	}
	c, err := records.Consistency(ctx, files, keys, func(use func(records.Evidence) error) error { return a.evidence(ctx, f.archiveFlags, use) })
	switch {
	case errors.Is(err, records.ErrNotProved):
		return a.notProved(err)
	case err == nil && f.write != "":
		err = durable.WriteFile(f.write, c.Proof)
	}
	if err != nil {
		return err
	}
	return a.show().Consistent(c)
}
