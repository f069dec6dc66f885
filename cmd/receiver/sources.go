package main

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"receiver/internal/publish"
	"receiver/internal/service"
)

func newSources(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sources",
		Short:   "Show how the platform delivers to each source",
		Example: "  receiver sources status",
	}
	cmd.AddCommand(newSourcesStatus(a))
	return cmd
}

func newSourcesStatus(a *app) *cobra.Command {
	var streams bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show last callbacks and retries left for each source",
		Long: `status shows for each source when a callback was last answered with a 2xx status, how many
callbacks were not, when the platform should call again, and how many retries are left before it
gives a callback up and may stop calling.

status asks the running receiver through a socket in the store's folder; no token is sent. With
nats.mode: external it asks private.address, unless that needs a token. If there is no answer, or
with --streams, it computes the state from the streams JOBS and ATTEMPTS. Those cover all
replicas and give the reasons of refusals, but have no record of answers 503 and 413.`,
		Example: "  receiver sources status\n  receiver sources status --streams -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.receiver()
			if err != nil {
				return err
			}
			if r != nil {
				if streams {
					return usagef("--streams reads the store; leave it out with --url")
				}
				said, err := r.Sources(cmd.Context())
				if err != nil {
					return err
				}
				return a.show().Sources(service.Reported(said))
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if !streams {
				report, err := service.AskSources(cmd.Context(), cfg)
				if err == nil {
					return a.show().Sources(report)
				}
				if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
					a.say("the private listener did not answer: %v", err)
				}
				a.say("no receiver was asked; the table is computed from the streams")
			}
			return a.openStore(cmd.Context(), cfg, service.Opener.Read, func(store *publish.Store) error {
				report, err := service.ReadSources(cmd.Context(), cfg, store)
				if err != nil {
					return err
				}
				return a.show().Sources(report)
			})
		},
	}
	cmd.Flags().BoolVar(&streams, "streams", false, "read the streams even if a receiver runs")
	return cmd
}
