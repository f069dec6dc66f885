package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/service"
	"receiver/internal/service/records"
	"receiver/internal/words"
)

// reverifyFlags are the flags of audit reverify.
type reverifyFlags struct {
	since, source, key string
	accept             bool
	who                operatorFlags
}

func newAuditReverify(a *app) *cobra.Command {
	var f reverifyFlags
	cmd := &cobra.Command{
		Use:   "reverify --since TIME",
		Short: "List refused callbacks that today's keys verify, and accept them late",
		Long: `Use reverify after you have corrected a wrong signature key. It lists the callbacks that were
refused as mismatch and whose signature a configured key verifies now. With --accept it publishes
each of them once in the stream JOBS, marked "ce-evidence: late". First it records the operator
and the reason. This cannot be undone.

Bodies over limits.attempt_body were not kept and cannot be accepted; the platform's queue may
still have them, see "receiver backfill".`,
		Example: "  receiver audit reverify --since 48h\n" +
			"  receiver audit reverify --since 48h --key 2026-11 --accept \\\n" +
			"    --operator 'M. Weber' --reason 'key file had a newline'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.accept && (f.who.operator == "" || f.who.reason == "") {
				return usagef("--accept needs --operator and --reason, for the record")
			}
			return a.reverify(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.since, "since", "", "refused since: a duration ago (48h), a time\n(2026-11-23T00:00:00Z), or all (required)")
	cmd.Flags().StringVar(&f.source, "source", "", "only callbacks of this source")
	cmd.Flags().StringVar(&f.key, "key", "", "only callbacks that the key of this name verifies")
	cmd.Flags().BoolVar(&f.accept, "accept", false, "publish the callbacks (needs --operator and --reason)")
	f.who.flags(cmd)
	a.identityFlag(cmd)
	required(cmd, "since")
	return cmd
}

func (a *app) reverify(ctx context.Context, f reverifyFlags) error {
	from, err := since(f.since, time.Now())
	if err != nil {
		return err
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if f.source != "" {
		if _, _, err := source(cfg, f.source); err != nil {
			return err
		}
	}
	if f.key != "" {
		if err := words.Check(f.key, cfg.KeyNames(f.source)); err != nil {
			return usagef("--key %w", err)
		}
	}
	open := service.Opener.Read
	if f.accept {
		open = service.Opener.Write
	}
	bus, done, err := open(a.opener(cfg), ctx)
	if err != nil {
		return err
	}
	defer done()
	sources, err := service.Verifiers(cfg, f.source)
	if err != nil {
		return err
	}
	found, hidden, err := records.Mended(ctx, bus, sources, f.key, from)
	if err != nil {
		return err
	}
	if hidden > 0 {
		a.say("%s refused as mismatch cannot be checked: no identity decrypts the body", words.Count(hidden, "callback"))
	}
	if f.accept {
		l, err := service.NewLedger(cfg, bus, a.logger(cfg.Log))
		if err != nil {
			return err
		}
		record := func(ids []string) error {
			details := map[string]any{"attempts": ids, "key": f.key, "since": f.since}
			return service.RecordAction(ctx, bus, f.who.action(job.ActionReverify), details)
		}
		if err := auditlog.Admit(ctx, found, record, l.Publish); err != nil {
			return err
		}
	}
	return a.show().Late(found)
}
