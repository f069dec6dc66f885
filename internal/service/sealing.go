package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/access"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/metrics"
	"receiver/internal/publish"
	"receiver/internal/sealing"
	"receiver/internal/service/archiving"
	"receiver/internal/service/logs"
	"receiver/internal/version"
)

// sealer is what seals the streams of a running receiver, in the background.
type sealer struct {
	*logs.Keepers
	cancel context.CancelFunc
	done   chan struct{}
}

// openSealing opens what is needed to seal.
func openSealing(ctx context.Context, cfg *config.Config, bus *publish.Store, figures *metrics.Sealing, log zerolog.Logger) (*sealer, error) {
	keepers, err := logs.OpenKeepers(ctx, cfg, bus, sealing.Options{Log: log, Told: figures.Told, Observe: func(s sealing.State) {
		figures.Observe(s.Stream, s.Size, s.Unsealed, s.Odd, s.Took, s.Fork, s.Err)
	}})
	if err != nil {
		return nil, err
	}
	return &sealer{Keepers: keepers, done: make(chan struct{})}, nil
}

// start begins to seal, if there is a key to seal with.
func (s *sealer) start(ctx context.Context, log zerolog.Logger) {
	if s == nil {
		log.Warn().Msg("the streams are not sealed, so nothing can be proved later; run receiver audit init and set audit.key")
		return
	}
	// It goes on while callbacks in flight are finished, so it does not end with ctx.
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(s.done)
		s.Run(ctx)
	}()
}

// remark says what is wrong with the logs while callbacks are accepted; empty if nothing is.
func (s *sealer) remark() string {
	if len(s.forked()) == 0 {
		return ""
	}
	return "the audit log of " + strings.Join(s.Forked(), ", ") + " contradicts itself and is no longer sealed; run receiver audit verify"
}

// forked are the streams whose logs were seen to contradict themselves.
func (s *sealer) forked() []string {
	if s == nil {
		return nil
	}
	return s.Forked()
}

// stop seals what is left. Nothing may write to the streams any more.
func (s *sealer) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.cancel()
	<-s.done
	return errors.Join(s.Finish(ctx), s.Close())
}

// keepArchives exports to archives, and warns of records that are in none, until ctx is done.
func (in *Instance) keepArchives(ctx context.Context) {
	if in.archives == nil {
		return
	}
	figures := in.metrics.Archives()
	in.archives.Observe = func(u archiving.Unarchived) { figures.Observe(u.Stream, u.Stored, u.Due) }
	in.background.Go(func() { in.archives.Run(ctx) })
}

// recordStart records that a receiver starts, with what, and which records it finds unsealed.
func recordStart(ctx context.Context, cfg *config.Config, bus *publish.Store, tokens []access.Token, unsealed map[string]logs.Unsealed) error {
	program, revision := version.Read()
	details, err := configDetails(cfg)
	if err != nil {
		return err
	}
	details["version"], details["revision"] = program, revision
	receipts, err := logs.KeepReceipts(ctx, cfg, bus)
	if err != nil {
		return err
	}
	if receipts != nil {
		details["receipts"] = receipts
	}
	if len(tokens) > 0 {
		details["tokens"] = describe(tokens)
	}
	if len(unsealed) > 0 {
		details["unsealed"] = unsealed
	}
	return RecordAction(ctx, bus, job.Action{What: job.ActionStart}, details)
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
	for _, name := range cfg.SourceNames() {
		if pem := cfg.Sources[name].TLS.Authorities; pem != nil {
			text = fmt.Appendf(text, "# %s believes sha256:%x\n", name, sha256.Sum256(pem))
		}
	}
	return string(text), err
}

// RecordAction records an action that is about to be done.
func RecordAction(ctx context.Context, bus *publish.Store, a job.Action, details map[string]any) error {
	_, err := actAt(ctx, bus, a, details)
	return err
}

// actAt is act, and returns the record's sequence.
func actAt(ctx context.Context, bus *publish.Store, a job.Action, details map[string]any) (uint64, error) {
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
