package main

import (
	"context"

	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/service"
)

// opening is how a command opens the store: service.Opener.Read or service.Opener.Write.
type opening func(service.Opener, context.Context) (*publish.Store, func(), error)

// withStore loads the configuration, opens the store and calls do.
func (a *app) withStore(ctx context.Context, open opening, do func(*config.Config, *publish.Store) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	return a.openStore(ctx, cfg, open, func(store *publish.Store) error { return do(cfg, store) })
}

// withSource is withStore for a command about one source; an empty name means the only one.
func (a *app) withSource(ctx context.Context, open opening, name string, do func(cfg *config.Config, store *publish.Store, name string) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if name, _, err = source(cfg, name); err != nil {
		return err
	}
	return a.openStore(ctx, cfg, open, func(store *publish.Store) error { return do(cfg, store, name) })
}

// inSource is withSource for a command that has an answer.
func inSource[T any](ctx context.Context, a *app, open opening, name string, do func(*config.Config, *publish.Store, string) (T, error)) (made T, err error) {
	err = a.withSource(ctx, open, name, func(cfg *config.Config, store *publish.Store, name string) (err error) {
		made, err = do(cfg, store, name)
		return err
	})
	return made, err
}

// openStore is withStore for a command that has loaded the configuration.
func (a *app) openStore(ctx context.Context, cfg *config.Config, open opening, do func(*publish.Store) error) error {
	store, done, err := open(a.opener(cfg), ctx)
	if err != nil {
		return err
	}
	defer done()
	return do(store)
}

func (a *app) opener(cfg *config.Config) service.Opener {
	return service.Opener{Config: cfg, Log: a.logger(cfg.Log), Say: a.say}
}
