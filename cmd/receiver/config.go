package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Check or print the configuration",
		Example: "  receiver config check\n  receiver config print",
	}
	cmd.AddCommand(newConfigCheck(a), newConfigPrint(a))
	return cmd
}

func newConfigCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Report everything that is wrong with the configuration; exit 2 if anything is",
		Long: `check reads the file, the environment and the secrets as serve would, starts nothing,
and reports all faults at once, each with file, line, path, what is wrong and what is allowed.`,
		Example: "  receiver --config /etc/receiver/config.yaml config check",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			odd, err := oddTokens(cfg)
			if err != nil {
				return err
			}
			cfg.Warnings = append(cfg.Warnings, odd...)
			for _, w := range cfg.Warnings {
				a.say("warning: %s", w)
			}
			if a.output == "json" {
				return json.NewEncoder(a.out).Encode(map[string]any{
					"file": cfg.File, "valid": true, "sources": len(cfg.Sources), "warnings": len(cfg.Warnings),
				})
			}
			_, err = fmt.Fprintf(a.out, "%s is valid: %d sources, %d warnings\n", cfg.File, len(cfg.Sources), len(cfg.Warnings))
			return err
		},
	}
}

func newConfigPrint(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "print",
		Short:   "Print the effective configuration, secrets as fingerprints",
		Example: "  receiver config print\n  RECEIVER_NATS_MODE=external RECEIVER_NATS_URLS=nats://a:4222 receiver config print",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			text, err := cfg.Effective()
			if err != nil {
				return err
			}
			if a.output == "json" {
				var v any
				if err := yaml.Unmarshal(text, &v); err != nil {
					return fmt.Errorf("turning the configuration into JSON: %w", err)
				}
				return json.NewEncoder(a.out).Encode(v)
			}
			_, err = a.out.Write(text)
			return err
		},
	}
}
