package service

import (
	"context"
	"os"
	"slices"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/service/platform"
	"receiver/internal/watchfiles"
)

// reloader puts new keys and sources into force while callbacks are accepted. The
// whole configuration is checked first and the sources are swapped at once; on any
// fault the old ones stay. The rest of the configuration takes a restart.
type reloader struct {
	in      *Instance
	current string // what is inForce
	told    string // the configuration that tell was last told, in the same form
	wrong   string // why the last try changed nothing; empty if it was done

	warned []string // the warnings of what tell was last told
}

func newReloader(in *Instance) (*reloader, error) {
	text, err := inForce(in.cfg)
	return &reloader{in: in, current: text, told: text, warned: in.cfg.Warnings}, err
}

// watch reloads on hup and when a file has changed, until ctx is done.
func (r *reloader) watch(ctx context.Context, hup <-chan os.Signal) {
	watchfiles.Watch(ctx, watchfiles.Watching{
		Files: r.in.cfg.Files, Asked: hup,
		Changed: func(asked bool) ([]string, bool) { return r.reload(ctx, asked) },
	})
}

// reload returns the files to watch from now on, and whether they are in force. When ctx is
// done it gives up.
func (r *reloader) reload(ctx context.Context, asked bool) (files []string, done bool) {
	if asked {
		r.in.log.Info().Msg("SIGHUP received; the receiver reads the configuration again")
	}
	cfg, err := ReadConfig(r.in.cfg.File, os.Environ(), r.in.explainer.cfg.Load())
	if err != nil {
		if r.news(asked, err) {
			r.in.log.Error().Err(err).Msg("the configuration has errors; the previous keys and sources stay in force")
		}
		return config.FilesOf(err), false
	}
	if ctx.Err() != nil {
		return cfg.Files, false // reading took long, and nothing is recorded any more
	}
	if err := r.apply(ctx, cfg); err != nil {
		if ctx.Err() == nil && r.news(asked, err) {
			r.in.log.Error().Err(err).Msg("applying the configuration failed; the previous keys and sources stay in force")
		}
		return cfg.Files, false
	}
	r.wrong = ""
	return cfg.Files, true
}

// news notes why a reload failed, and reports whether to log it: every retry fails with the
// same error, which is logged once, or for each SIGHUP.
func (r *reloader) news(asked bool, err error) bool {
	was := r.wrong
	r.wrong = err.Error()
	return asked || r.wrong != was
}

// apply puts the sources of a configuration into force, and tells of what else it changes.
func (r *reloader) apply(ctx context.Context, cfg *config.Config) error {
	next := *r.in.cfg // nothing else is in force before a restart
	next.Sources = cfg.Sources
	text, err := inForce(&next)
	switch {
	case err != nil:
		return err
	case text != r.current:
		if err := r.replace(ctx, &next); err != nil {
			return err
		}
		r.current = text
	case r.wrong != "":
		r.in.log.Info().Msg("the configuration file matches the configuration in force again")
	}
	return r.tell(cfg)
}

// replace puts the sources of a configuration into force, all or none.
func (r *reloader) replace(ctx context.Context, next *config.Config) error {
	// All that can fail comes before the first thing that is put into force.
	judged, err := r.in.sources(next)
	if err != nil {
		return err
	}
	set, err := platform.NewClients(next)
	if err != nil {
		return err
	}
	keys, err := ConfiguredKeys(next)
	if err != nil {
		return err
	}
	if err := r.record(ctx, next); err != nil {
		return err
	}
	r.in.platforms.Use(set)
	r.in.receiver.SetSources(judged)
	r.in.metrics.SetSources(keys)
	r.in.explainer.cfg.Store(next)
	r.in.log.Info().Int("sources", len(next.Sources)).Strs("keys", fingerprints(next)).Msg("keys and sources reloaded")
	return nil
}

// tell logs, once, what a person should know of a configuration whose sources are in force.
func (r *reloader) tell(cfg *config.Config) error {
	text, err := inForce(cfg)
	if err != nil {
		return err
	}
	warnings := cfg.Warnings
	if text == r.told { // then only those that are new
		warnings = slices.DeleteFunc(slices.Clone(warnings), func(w string) bool { return slices.Contains(r.warned, w) })
	}
	if len(warnings) > 0 {
		r.in.log.Warn().Strs("warnings", warnings).Msg("the configuration has warnings")
	}
	r.warned = cfg.Warnings
	if text == r.told {
		return nil
	}
	r.told = text
	if rest(r.in.cfg) != rest(cfg) {
		r.in.log.Warn().Msg("settings other than sources changed; restart the receiver to apply them")
	}
	if most := longest(r.in.cfg); longest(cfg) > most {
		r.in.log.Warn().Stringer("timeout", most).Msg("polls keep the longest timeouts.request of the start; restart the receiver to apply a longer one")
	}
	return nil
}

// record records that a configuration is about to be put into force.
func (r *reloader) record(ctx context.Context, cfg *config.Config) error {
	details, err := configDetails(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.in.cfg.Limits.PublishTimeout)
	defer cancel()
	return RecordAction(ctx, r.in.bus, job.Action{What: job.ActionReload}, details)
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
	for _, name := range cfg.SourceNames() {
		for _, k := range cfg.Sources[name].SignatureKeys {
			all = append(all, name+"/"+k.Name+" "+k.Value.Fingerprint())
		}
	}
	return all
}
