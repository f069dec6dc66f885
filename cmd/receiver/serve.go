package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"receiver/internal/logging"
	"receiver/internal/service"
	"receiver/internal/service/memory"
	"receiver/internal/systemd"

	"github.com/spf13/cobra"
)

func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the receiver until SIGTERM or SIGINT",
		Long: `serve opens the public listener for callbacks and the private listener for operators, and
publishes verified events. On SIGTERM or SIGINT it stops accepting callbacks, completes the
requests in progress, and stops the store last. No acknowledged callback is lost.

serve reloads sources and keys on SIGHUP, and when the configuration file or a secret file
changes. If the new configuration has errors, serve logs them, keeps the old configuration, and
tries again until the errors are gone. If a certificate file is unreadable during a reload, the
previous certificate stays in use.

With nats.mode: external, serve starts before the cluster is reachable. Until then callbacks
are answered 503, and /readyz names the servers and the reason.`,
		Example: "  receiver serve\n  receiver --config /etc/receiver/config.yaml serve",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Otherwise a SIGHUP ends the process. A SIGHUP during the start is kept until the
			// reload reads it; one during the stop is ignored.
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			cfg, err := a.loadAll()
			if err != nil {
				return err
			}
			log, written := logging.Open(a.talk, cfg.Log.Level, cfg.Log.Format)
			defer written.Close()
			if len(cfg.Warnings) > 0 {
				log.Warn().Strs("warnings", cfg.Warnings).Msg("the configuration has warnings")
			}
			service.Warn(cmd.Context(), cfg, log)
			memory.Limit(cfg, log)
			in, err := service.Start(cmd.Context(), cfg, log)
			if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
				log.Info().Msg("stopped before the start was complete")
				return nil
			}
			if err != nil {
				return err
			}
			in.ShowLog(written.Dropped)
			log.Info().Str("public", in.PublicURL()).Str("private", in.PrivateURL()).
				Str("nats", in.NATSURL()).Int("sources", len(cfg.Sources)).Msg("listening")
			stopping := systemd.Process{Alive: in.Alive, Ready: in.Ready, Log: log}.Keep(cmd.Context())
			err = in.Run(cmd.Context(), hup)
			stopping()
			log.Info().Msg("stopping")
			err = errors.Join(err, in.Stop())
			log.Info().Msg("stopped")
			return err
		},
	}
}
