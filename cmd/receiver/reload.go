package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"receiver/internal/config"
	"receiver/internal/job"
)

// reloader puts new keys and sources into force while callbacks are accepted. The
// whole configuration is checked first and the sources are swapped at once; on any
// fault the old ones stay. The rest of the configuration takes a restart.
type reloader struct {
	in *instance

	mu      sync.Mutex
	files   []string // of the last configuration that was read whole
	current string   // what is in force, as config print shows it
}

func newReloader(in *instance) (*reloader, error) {
	text, err := in.cfg.Effective()
	return &reloader{in: in, files: in.cfg.Files, current: string(text)}, err
}

// watch reloads on SIGHUP and when a file has changed, until ctx is done.
func (r *reloader) watch(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-hup:
				r.in.log.Info().Msg("SIGHUP: reading the configuration again")
				r.reload()
			case <-ctx.Done():
				return
			}
		}
	})
	defer wg.Wait()
	return config.Watch(ctx, r.in.cfg.Files, r.reload)
}

// reload returns the files to watch from now on.
func (r *reloader) reload() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	cfg, err := readConfig(r.in.cfg.File)
	if err != nil {
		r.in.log.Error().Err(err).Msg("the configuration has faults; the old keys and sources stay in force")
		return r.files
	}
	r.files = cfg.Files
	if err := r.apply(cfg); err != nil {
		r.in.log.Error().Err(err).Msg("the configuration cannot be put into force; the old keys and sources stay")
	}
	return r.files
}

func (r *reloader) apply(cfg *config.Config) error {
	text, err := cfg.Effective()
	if err != nil || string(text) == r.current {
		return err
	}
	judged, err := r.in.sources(cfg)
	if err != nil {
		return err
	}
	if err := r.in.platforms.set(cfg); err != nil {
		return err
	}
	details, err := configDetails(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Limits.PublishTimeout)
	defer cancel()
	if err := act(ctx, r.in.bus, job.Action{What: job.ActionReload}, details); err != nil {
		return err
	}
	r.in.receiver.SetSources(judged)
	r.in.explainer.cfg.Store(cfg)
	for _, w := range cfg.Warnings {
		r.in.log.Warn().Msg(w)
	}
	r.in.log.Info().Int("sources", len(cfg.Sources)).Strs("keys", fingerprints(cfg)).Msg("keys and sources reloaded")
	if rest(r.in.cfg) != rest(cfg) {
		r.in.log.Warn().Msg("something else than sources has changed too; it takes a restart")
	}
	r.current = string(text)
	return nil
}

// rest is all of a configuration that a reload does not put into force.
func rest(cfg *config.Config) string {
	c := *cfg
	c.Sources = nil
	text, err := c.Effective()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// fingerprints names the keys of all sources.
func fingerprints(cfg *config.Config) []string {
	var all []string
	for _, name := range names(cfg) {
		for _, k := range cfg.Sources[name].SignatureKeys {
			all = append(all, name+"/"+k.Name+" "+k.Value.Fingerprint())
		}
	}
	return all
}
