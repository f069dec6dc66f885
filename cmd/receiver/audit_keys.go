package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
)

func newAuditKeys(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "Print the public keys that the logs are checked with",
		Long: `keys prints the verifier keys of the logs, one on a line, for --log-key of audit check and
for anybody who monitors the logs. After them come earlier keys that the configuration
still believes. Whoever checks evidence should have got them before there was a doubt.`,
		Example: "  receiver audit keys\n  receiver audit keys -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if cfg.Audit.Key.Empty() {
				return usagef("audit.key is not set; `receiver audit init` makes one")
			}
			key, err := audit.ParseKey(cfg.Audit.Key.Reveal())
			if err != nil {
				return usagef("audit.key: %w", err)
			}
			keys := append(verifierKeys(cfg.Audit.Name, key), cfg.Audit.VerifierKeys...)
			if a.output == "json" {
				return printJSON(a.out, map[string]any{"name": cfg.Audit.Name, "verifier_keys": keys})
			}
			for _, k := range keys {
				if _, err := fmt.Fprintln(a.out, k); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
