package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/track"
)

func newKeys(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "See which signature keys are in use, and when one can go",
		Example: "  receiver keys list\n" +
			"  receiver keys retire --source crm key-2025",
	}
	cmd.AddCommand(newKeysList(a), newKeysRetire(a))
	return cmd
}

func newKeysList(a *app) *cobra.Command {
	var sourceName string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List signature keys with their use by all replicas",
		Long: `list counts, over the streams JOBS and ATTEMPTS, what each key verified and when last.
MISMATCHED is how many well-formed signatures at the source, since then, no key made:
forgeries, or a key that was changed at the platform before it was added here.
Keys that are not configured any more, but that the streams know, are shown as removed.`,
		Example: "  receiver keys list\n  receiver keys list --source crm -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if sourceName != "" {
				if _, _, err := source(cfg, sourceName); err != nil {
					return err
				}
			}
			keys, _, err := a.keyUse(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return a.printKeys(keys.List(time.Now()), sourceName)
		},
	}
	cmd.Flags().StringVar(&sourceName, "source", "", "configured source (default: all, and what the streams know besides)")
	return cmd
}

// keyUse counts the use of keys over the streams.
func (a *app) keyUse(ctx context.Context, cfg *config.Config) (*track.Keys, track.Reach, error) {
	bus, done, err := a.read(ctx, cfg)
	if err != nil {
		return nil, track.Reach{}, err
	}
	defer done()
	keys := track.NewKeys(configuredKeys(cfg))
	reach, err := arrivals(ctx, bus, keys.Add)
	return keys, reach, err
}

func configuredKeys(cfg *config.Config) []track.Key {
	var all []track.Key
	for _, name := range names(cfg) {
		for _, k := range cfg.Sources[name].SignatureKeys {
			all = append(all, track.Key{
				Source: name, Name: k.Name, Fingerprint: k.Value.Fingerprint(), NotBefore: k.NotBefore, NotAfter: k.NotAfter,
			})
		}
	}
	return all
}

func (a *app) printKeys(keys []track.KeyUse, source string) error {
	shown := []track.KeyUse{}
	rows := [][]string{}
	for _, k := range keys {
		if source != "" && k.Source != source {
			continue
		}
		shown = append(shown, k)
		rows = append(rows, []string{
			k.Source, k.Name, k.Fingerprint, string(k.State), window(k.Key), moment(k.Last),
			fmt.Sprint(k.Verified), fmt.Sprint(k.Mismatches), strings.Join(k.Warnings, "; "),
		})
	}
	if a.output == "json" {
		return printJSON(a.out, shown)
	}
	return table(a.out, []string{"SOURCE", "KEY", "FINGERPRINT", "STATE", "WINDOW", "LAST USE", "VERIFIED", "MISMATCHED", "WARNING"}, rows)
}

func window(k track.Key) string {
	if k.NotBefore.IsZero() && k.NotAfter.IsZero() {
		return "-"
	}
	edge := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return edge(k.NotBefore) + ".." + edge(k.NotAfter)
}

// moment shows a time that may be none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
