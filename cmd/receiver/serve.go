package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Accept callbacks until told to stop",
		Long: `serve opens the public listener for callbacks and the private one for operators, and
publishes verified events until SIGTERM or SIGINT. Then it takes no more callbacks,
finishes those in flight, and stops the store last: nothing acknowledged is lost.

Sources and keys are read again on SIGHUP and whenever the configuration or a secret
file changes. A configuration with faults is reported and changes nothing; it is tried
again until it has none. A certificate that cannot be read any more is no fault then: the
one before stays in use. A SIGHUP while serve starts is kept, and one while it stops
does nothing.

With nats.mode: external, serve waits for a cluster that cannot be reached yet: callbacks
are answered 503 meanwhile, and /readyz says which servers and why.`,
		Example: "  receiver serve\n  receiver --config /etc/receiver/config.yaml serve",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Else a SIGHUP ends the process. One that comes while it starts is kept until
			// somebody reads it; while it stops, nobody does.
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			cfg, err := a.load()
			if err != nil {
				return err
			}
			log, written := lines(a.talk, cfg.Log)
			defer written.Close()
			for _, w := range cfg.Warnings {
				log.Warn().Msg(w)
			}
			warn(cmd.Context(), cfg, log)
			memoryOf(cfg).apply(log)
			in, err := start(cmd.Context(), cfg, log)
			if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
				log.Info().Msg("stopped while it started")
				return nil
			}
			if err != nil {
				return err
			}
			in.metrics.ShowLog(written.Dropped)
			log.Info().Str("public", in.public.url()).Str("private", in.private.url()).
				Str("nats", in.natsURL()).Int("sources", len(cfg.Sources)).Msg("listening")
			err = a.serve(cmd.Context(), in, hup)
			log.Info().Msg("stopping")
			err = errors.Join(err, in.stop())
			log.Info().Msg("stopped")
			return err
		},
	}
}

// serve goes on until ctx is done or a listener fails, and reloads meanwhile.
func (a *app) serve(ctx context.Context, in *instance, hup <-chan os.Signal) error {
	r, err := newReloader(in)
	if err != nil {
		return err
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beside.Go(func() { keepHeadroom(ctx) })
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		r.watch(ctx, hup)
	}()
	err = in.wait(ctx)
	cancel()
	select {
	case <-watched:
	case <-time.After(lastLook):
		in.log.Warn().Msg("reading the configuration hangs, as its file system may; stopping without waiting for it")
	}
	return err
}

// lastLook is how long a reload is waited for that was told to end: it only reads files then.
const lastLook = time.Second

// natsURL is where consumers connect to.
func (in *instance) natsURL() string {
	if in.server != nil {
		return in.server.URL()
	}
	return in.bus.URL()
}
