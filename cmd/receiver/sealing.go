package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/access"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/seal"
	"receiver/internal/web"
)

// sealing is what seals the streams of a running receiver, in the background.
type sealing struct {
	*keepers
	cancel context.CancelFunc
	done   chan struct{}
}

// startAudit begins to seal, and opens the logs for who asks at the private door.
func (in *instance) startAudit(ctx context.Context) (_ *auditAPI, err error) {
	if in.sealing, err = startSealing(ctx, in.cfg, in.bus, in.metrics, in.log); err != nil {
		return nil, err
	}
	return newAuditAPI(ctx, in.cfg, in.bus)
}

// startSealing begins to seal, if there is a key to seal with.
func startSealing(ctx context.Context, cfg *config.Config, bus *publish.Bus, metrics *web.Metrics, log zerolog.Logger) (*sealing, error) {
	if cfg.Audit.Key.Empty() {
		log.Warn().Msg("the streams are not sealed: nothing can be proved later; run `receiver audit init` and set audit.key")
		return nil, nil
	}
	figures := metrics.Sealing()
	keepers, err := openKeepers(ctx, cfg, bus, seal.Options{Log: log, Observe: func(s seal.State) {
		figures.Observe(s.Stream, s.Size, s.Unsealed, s.Took, s.Fork)
	}})
	if err != nil {
		return nil, err
	}
	// It goes on while callbacks in flight are finished, so it does not end with ctx.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &sealing{keepers: keepers, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.Run(running)
	}()
	return s, nil
}

// stop seals what is left. Nothing may write to the streams any more.
func (s *sealing) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.cancel()
	<-s.done
	return errors.Join(s.Finish(ctx), s.close())
}

// recordStart records that a receiver starts, and with what.
func recordStart(ctx context.Context, cfg *config.Config, bus *publish.Bus, tokens []access.Token) error {
	version, revision := build()
	details, err := configDetails(cfg)
	if err != nil {
		return err
	}
	details["version"], details["revision"] = version, revision
	if len(tokens) > 0 {
		details["tokens"] = describe(tokens)
	}
	return act(ctx, bus, job.Action{What: job.ActionStart}, details)
}

// configDetails tells which configuration is in force, without a secret of it.
func configDetails(cfg *config.Config) (map[string]any, error) {
	text, err := inForce(cfg)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	return map[string]any{"config": hex.EncodeToString(sum[:]), "keys": fingerprints(cfg)}, nil
}

// inForce is a configuration as config print shows it, with what is in the files that it
// names the authorities in.
func inForce(cfg *config.Config) (string, error) {
	text, err := cfg.Effective()
	for _, name := range names(cfg) {
		if pem := cfg.Sources[name].TLS.Authorities; pem != nil {
			text = fmt.Appendf(text, "# %s believes sha256:%x\n", name, sha256.Sum256(pem))
		}
	}
	return string(text), err
}

// act records an action that is about to be done.
func act(ctx context.Context, bus *publish.Bus, a job.Action, details map[string]any) error {
	_, err := actAt(ctx, bus, a, details)
	return err
}

// actAt is act, and returns the record's sequence.
func actAt(ctx context.Context, bus *publish.Bus, a job.Action, details map[string]any) (uint64, error) {
	a.Time = time.Now()
	if details != nil {
		data, err := json.Marshal(details)
		if err != nil {
			return 0, fmt.Errorf("recording the action %s: %w", a.What, err)
		}
		a.Details = data
	}
	return bus.Act(ctx, a)
}
