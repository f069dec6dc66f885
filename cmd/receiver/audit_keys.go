package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/service/logs"
)

func newAuditKeys(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "Print the public keys of the logs",
		Long: `keys prints the public keys of the logs, one on each line, for --log-key of audit check and for
programs that monitor the logs. Earlier keys that the configuration still trusts follow. Give the
keys to everyone who will check evidence before there is a dispute.`,
		Example: "  receiver audit keys\n  receiver audit keys -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if cfg.Audit.Key.Empty() {
				return usagef("audit.key is not set; make a key with `receiver audit init`")
			}
			key, err := logs.Key(cfg.Audit)
			if err != nil {
				return err
			}
			keys := append(logs.VerifierKeys(cfg.Audit, key), cfg.Audit.VerifierKeys...)
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
