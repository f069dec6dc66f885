package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/keyusage"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/records"
)

func newKeys(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Show which signature keys are in use, and which can be removed",
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
		Short: "List signature keys and their use by all replicas",
		Long: `list reads the streams JOBS and ATTEMPTS, and counts what each key verified, and when last.
MISMATCHED is the number of well-formed signatures at the source since then that matched no key:
forgeries, or signatures by a key that was changed at the platform before it was added here. Keys
that are in the streams but no longer configured are shown as removed.`,
		Example: "  receiver keys list\n  receiver keys list --source crm -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.receiver()
			if err != nil {
				return err
			}
			if r != nil {
				keys, err := r.Keys(cmd.Context(), sourceName)
				if err != nil {
					return err
				}
				return a.show().Keys(keys, sourceName)
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if sourceName != "" {
				if _, _, err := source(cfg, sourceName); err != nil {
					return err
				}
			}
			keys, reach, err := a.keyUse(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return a.show().Keys(keys.ListRemovable(reach, time.Now()), sourceName)
		},
	}
	cmd.Flags().StringVar(&sourceName, "source", "", "name of the source (default: all configured and recorded sources)")
	return cmd
}

// keyUse counts the use of keys over the streams.
func (a *app) keyUse(ctx context.Context, cfg *config.Config) (keys *keyusage.Keys, reach keyusage.Reach, err error) {
	configured, err := service.ConfiguredKeys(cfg)
	if err != nil {
		return nil, reach, err
	}
	err = a.openStore(ctx, cfg, service.Opener.Read, func(store *publish.Store) (err error) {
		keys = keyusage.NewKeys(configured)
		reach, err = records.Arrivals(ctx, store, keys.Add)
		return err
	})
	return keys, reach, err
}
