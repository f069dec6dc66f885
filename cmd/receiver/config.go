package main

import (
	"encoding/json"
	"fmt"
	"io"

	"receiver"
	"receiver/internal/service"
	"receiver/internal/words"

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
		Short: "Report all errors in the configuration",
		Long: `check reads the configuration file, the environment and the secret files as serve does, and
starts nothing. It reports all errors at once, each with file, line, key, the error and the
allowed values.

Exit codes: 0 no errors; 2 errors.`,
		Example: "  receiver --config /etc/receiver/config.yaml config check",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.loadAll()
			if err != nil {
				return err
			}
			odd, err := service.Odd(cfg)
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
			_, err = fmt.Fprintf(a.out, "%s is valid: %s, %s\n", cfg.Name(), words.Count(len(cfg.Sources), "source"), words.Count(len(cfg.Warnings), "warning"))
			return err
		},
	}
}

func newConfigPrint(a *app) *cobra.Command {
	var example bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the effective configuration, with secrets as fingerprints",
		Long: `print prints the configuration after defaults and environment variables are applied. Each
secret is replaced by a fingerprint.

With --example it prints a file with all settings, their defaults and comments; it reads nothing.`,
		Example: "  receiver config print\n" +
			"  RECEIVER_NATS_MODE=external RECEIVER_NATS_URLS=nats://a:4222 receiver config print\n" +
			"  receiver config print --example > config.yaml",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if example {
				if a.output == "json" {
					return usagef("--example is YAML with comments; leave out the output json")
				}
				_, err := io.WriteString(a.out, receiver.Example)
				return err
			}
			cfg, err := a.loadAll()
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
					return fmt.Errorf("encoding the configuration as JSON: %w", err)
				}
				return json.NewEncoder(a.out).Encode(v)
			}
			_, err = a.out.Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&example, "example", false, "print all settings with their defaults and comments")
	return cmd
}
