package main

import (
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/cli"
	"receiver/internal/config"
	"receiver/internal/keyusage"
	"receiver/internal/service"
)

// longestRetry is when the platform's last retry comes, by the page that has it latest.
//
// OC: section 6.4.
const longestRetry = 73 * time.Hour

func newKeysRetire(a *app) *cobra.Command {
	var sourceName string
	var span time.Duration
	cmd := &cobra.Command{
		Use:   "retire KEY",
		Short: "Check whether a signature key can be removed",
		Long: `retire checks whether a key, given by name or fingerprint, can be removed from the configuration
without refusing a callback. It changes nothing.

A key can be removed if it verified nothing for --when-unused, if another key of the source did
since then, and if the streams reach back that far. The platform's last retry of a callback comes
up to 73 hours after the first attempt (9.5 hours in a newer page of its manual). Its manual does
not say whether a retry is signed again, so the default adds about a day.

Exit codes: 0 it can be removed; 1 it cannot; 2 wrong usage or configuration; 3 not known.`,
		Example: "  receiver keys retire key-2025\n" +
			"  receiver keys retire --source crm --when-unused 120h sha256:fdef0e6f",
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{cli.Question: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if span <= 0 {
				return usagef("--when-unused %v must be more than 0", span)
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			configured, err := service.ConfiguredKeys(cfg)
			if err != nil {
				return err
			}
			key, err := keyusage.Find(configured, sourceName, args[0])
			if err != nil {
				return usagef("%s: %w", cfg.Name(), err)
			}
			if span < longestRetry {
				a.say("note: the platform may retry a callback for up to %v, which is longer than --when-unused %v", longestRetry, span)
			}
			keys, reach, err := a.keyUse(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			answer, err := keys.Retire(key.Source, key.Fingerprint, span, reach, time.Now())
			if err != nil {
				return err
			}
			if err := a.show().Retirement(answer, config.KeyPlace(cfg, answer.Source, answer.Name)); err != nil || answer.Safe {
				return err
			}
			return silentError{}
		},
	}
	cmd.Flags().StringVar(&sourceName, "source", "", "name of the source (default: the only source with this key)")
	cmd.Flags().DurationVar(&span, "when-unused", keyusage.RetrySpan, "time for which the key must have verified nothing")
	return cmd
}
