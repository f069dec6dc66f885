package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/job"
	"receiver/internal/track"
)

func newJobsRelease(a *app) *cobra.Command {
	var j jobCommand
	var who operatorFlags
	cmd := &cobra.Command{
		Use:   "release JOB",
		Short: "Make events of the quarantined callbacks about a job",
		Long: `release takes callbacks about a job that was not submitted here out of quarantine
(unexpected_jobs: quarantine) and publishes them, as if they had been accepted when they
came. Releasing twice does no harm. Who releases is recorded first.`,
		Example: "  receiver jobs release --source crm 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			name, _, err := source(cfg, j.source)
			if err != nil {
				return err
			}
			bus, done, err := a.write(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer done()
			l, err := a.ledgerOf(cfg, bus)
			if err != nil {
				return err
			}
			if err := act(cmd.Context(), bus, who.action(job.ActionRelease), map[string]any{"source": name, "job": args[0]}); err != nil {
				return err
			}
			released, err := l.watcher.Release(cmd.Context(), name, args[0])
			if errors.Is(err, track.ErrNotAside) {
				return fmt.Errorf("source %s: %w; see `receiver events watch --subject 'attempts.%s.quarantined' --since 720h`", name, err, name)
			}
			if errors.Is(err, track.ErrHidden) {
				return fmt.Errorf("%w; give --identity-file, or set encryption.identity", err)
			}
			if err != nil {
				return err
			}
			return a.printEvents(released)
		},
	}
	j.flags(cmd)
	who.flags(cmd)
	a.identityFlag(cmd)
	return cmd
}
