package main

import (
	"context"
	"errors"
	"fmt"

	"receiver/internal/config"
	"receiver/internal/publish"
)

// closer closes what a command opened.
type closer func()

// read opens the streams for a command that only reads: through the server that
// runs, else from a private copy of the folder, so that looking changes nothing.
func (a *app) read(ctx context.Context, cfg *config.Config) (*publish.Bus, closer, error) {
	r, done, err := a.reading(ctx, cfg)
	for _, place := range r.damage {
		a.say("damaged, so left out: %s", place)
	}
	return r.bus, done, err
}

// reading is what a command reads from.
type reading struct {
	bus    *publish.Bus
	live   bool     // others may be writing to it
	damage []string // what could not be read, of a private copy
}

func (a *app) reading(ctx context.Context, cfg *config.Config) (reading, closer, error) {
	options := busOptions(cfg, a.logger(cfg.Log))
	options.ReadOnly = true
	if cfg.NATS.Mode == config.ModeExternal {
		bus, done, err := opened(publish.Dial(ctx, external(cfg), options))(nil)
		return reading{bus: bus, live: true}, done, err
	}
	folder := cfg.Abs(cfg.NATS.Embedded.Folder)
	bus, err := publish.Attach(ctx, folder, options)
	if !errors.Is(err, publish.ErrNotRunning) {
		bus, done, err := opened(bus, err)(nil)
		return reading{bus: bus, live: true}, done, err
	}
	server, err := publish.Inspect(folder, a.logger(cfg.Log))
	if errors.Is(err, publish.ErrNoStore) {
		return reading{}, nil, fmt.Errorf("%w; `receiver serve` or `receiver submit` makes them", err)
	}
	if err != nil {
		return reading{}, nil, err
	}
	a.say("no receiver runs on %s: reading a private copy of its streams", folder)
	bus, done, err := opened(server.Open(ctx, options))(server)
	return reading{bus: bus, damage: server.Damage()}, done, err
}

// write opens the streams for a command that adds to them: through the server that
// runs, else as the folder's owner for as long as the command takes.
func (a *app) write(ctx context.Context, cfg *config.Config) (*publish.Bus, closer, error) {
	options := busOptions(cfg, a.logger(cfg.Log))
	if cfg.NATS.Mode == config.ModeExternal {
		return opened(publish.Dial(ctx, external(cfg), options))(nil)
	}
	folder := cfg.Abs(cfg.NATS.Embedded.Folder)
	bus, err := publish.Attach(ctx, folder, options)
	if !errors.Is(err, publish.ErrNotRunning) {
		return opened(bus, err)(nil)
	}
	a.say("no receiver runs on %s: opening its streams for this command; callbacks need `receiver serve`", folder)
	server, bus, err := openStore(ctx, cfg, a.logger(cfg.Log))
	bus, done, err := opened(bus, err)(server)
	return bus, a.sealing(cfg, bus, done), err
}

// opened pairs a bus with what closes it and the server under it.
func opened(bus *publish.Bus, err error) func(*publish.Server) (*publish.Bus, closer, error) {
	return func(server *publish.Server) (*publish.Bus, closer, error) {
		stop := func() {
			if server != nil {
				server.Stop()
			}
		}
		if err != nil {
			stop()
			return nil, nil, err
		}
		return bus, func() {
			// Everything this command wrote is acknowledged by now.
			_ = bus.Close(context.Background())
			stop()
		}, nil
	}
}
