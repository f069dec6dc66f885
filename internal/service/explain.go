package service

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/diagnose"
	"receiver/internal/keyusage"
	"receiver/internal/publish"
	"receiver/internal/service/records"
	"receiver/internal/verify"
)

// historyTimeout bounds the search for callbacks that a signature is compared with.
const historyTimeout = 2 * time.Second

// explainer answers the questions of the private listener with the configuration in force.
type explainer struct {
	cfg atomic.Pointer[config.Config]
	bus *publish.Store
	log zerolog.Logger
}

func newExplainer(cfg *config.Config, bus *publish.Store, log zerolog.Logger) *explainer {
	e := &explainer{bus: bus, log: log}
	e.cfg.Store(cfg)
	return e
}

// explain is an apiserver.Explainer.
func (e *explainer) explain(ctx context.Context, name string, signatures []string, body []byte) (api.Explanation, bool) {
	cfg := e.cfg.Load()
	s, ok := cfg.Sources[name]
	if !ok {
		return api.Explanation{}, false
	}
	v, err := Verifier(s)
	if err != nil {
		e.log.Error().Err(err).Str("source", name).Msg("a configuration in force has an invalid key")
		return api.Explanation{}, false
	}
	found := api.NewExplanation(v.Verify(signatures, body))
	q := diagnose.Question{Values: signatures, Body: body}
	q.Keys, q.Others = KeyCandidates(cfg, name)
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	if q.Earlier, err = records.Earlier(ctx, e.bus, name); err != nil {
		e.log.Warn().Err(err).Msg("reading earlier callbacks failed; a signature is explained without all of them")
	}
	found.Compared = len(q.Earlier)
	found.Findings = diagnose.Explain(q)
	return found, true
}

// Verifier returns what judges callbacks of a source.
func Verifier(s config.Source) (*verify.Verifier, error) {
	keys := make([]*verify.Key, 0, len(s.SignatureKeys))
	for _, k := range s.SignatureKeys {
		if err := config.Usable(k.Value); err != nil {
			return nil, err
		}
		key, err := verify.NewKey(k.Name, k.Value.Bytes(), verify.Window{NotBefore: k.NotBefore, NotAfter: k.NotAfter})
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return verify.New(keys...)
}

// Verifiers returns what judges callbacks of each source, by its name; with only, of that source.
func Verifiers(cfg *config.Config, only string) (map[string]*verify.Verifier, error) {
	if _, err := ConfiguredKeys(cfg); err != nil && only == "" {
		return nil, err // of all at once
	}
	all := make(map[string]*verify.Verifier, len(cfg.Sources))
	for name, s := range cfg.Sources {
		if only != "" && name != only {
			continue
		}
		v, err := Verifier(s)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		all[name] = v
	}
	return all, nil
}

// ConfiguredKeys returns the signature keys of all sources, without the keys themselves.
func ConfiguredKeys(cfg *config.Config) (all []keyusage.Key, err error) {
	var secrets []config.Secret
	for _, name := range cfg.SourceNames() {
		for _, k := range cfg.Sources[name].SignatureKeys {
			secrets = append(secrets, k.Value)
			all = append(all, keyusage.Key{
				Source: name, Name: k.Name, Fingerprint: k.Value.Fingerprint(), NotBefore: k.NotBefore, NotAfter: k.NotAfter,
			})
		}
	}
	return all, config.Usable(secrets...)
}

// KeyCandidates returns the keys of a source, and those of all others, as far as they can be read.
func KeyCandidates(cfg *config.Config, source string) (own, others []diagnose.Candidate) {
	for _, name := range cfg.SourceNames() {
		for _, k := range cfg.Sources[name].SignatureKeys {
			if config.Usable(k.Value) != nil {
				continue
			}
			c := diagnose.NewCandidate(name, k.Name, k.Value.Bytes())
			if name == source {
				own = append(own, c)
			} else {
				others = append(others, c)
			}
		}
	}
	return own, others
}
