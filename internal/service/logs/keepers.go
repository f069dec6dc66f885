package logs

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/publish/anchorstream"
	"receiver/internal/publish/conn"
	"receiver/internal/sealing"
)

// Keepers are what keeps the logs of one store sealed, and what has to be closed after.
type Keepers struct {
	*sealing.Keeper
	checkpoints *sealing.Checkpoints
	accounts    []*anchorstream.Anchor
}

// OpenKeepers wires a keeper to the streams. Observe may be nil.
func OpenKeepers(ctx context.Context, cfg *config.Config, bus *publish.Store, o sealing.Options) (_ *Keepers, err error) {
	k := &Keepers{}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.Close())
		}
	}()
	if _, err = Key(cfg.Audit); err != nil {
		return k, err
	}
	if k.checkpoints, err = sealing.OpenCheckpoints(cfg.Abs(cfg.Audit.CheckpointFile)); err != nil {
		return k, fmt.Errorf("audit.checkpoint_file: %w", err)
	}
	lease, err := bus.Lease(ctx, "seal."+cfg.Audit.Name)
	if err != nil {
		return k, err
	}
	o.Lease, o.Keep, o.Prove = lease, k.checkpoints.Keep, k.checkpoints.Prove
	o.Interval, o.AnchorInterval = cfg.Audit.Interval, cfg.Audit.AnchorInterval
	places, err := k.openAnchors(cfg)
	if err != nil {
		return k, err
	}
	for _, stream := range Streams {
		log, err := k.sealLog(ctx, cfg, bus, stream, places, o.Log)
		if err != nil {
			return k, err
		}
		o.Logs = append(o.Logs, log)
	}
	k.Keeper = sealing.New(o)
	return k, nil
}

// Close closes what the keepers write to.
func (k *Keepers) Close() error {
	var errs []error
	for _, a := range k.accounts {
		a.Close()
	}
	if k.checkpoints != nil {
		errs = append(errs, k.checkpoints.Close())
	}
	return errors.Join(errs...)
}

// sealLog wires one log.
func (k *Keepers) sealLog(ctx context.Context, cfg *config.Config, bus *publish.Store, stream string, places []anchor.Place, messages zerolog.Logger) (sealing.Log, error) {
	l := sealing.Log{
		Stream: stream, Last: StreamSource{bus, stream}.Last, Kept: k.checkpoints.Known(audit.Origin(cfg.Audit.Name, stream)), Open: stream == conn.AttemptsStream,
	}
	keys, err := Keys(cfg.Audit)
	if err != nil {
		return l, err
	}
	log, err := Open(ctx, bus, cfg.Audit.Name, stream, keys)
	if err != nil {
		return l, err
	}
	signer, err := signer(cfg.Audit, stream)
	if err != nil {
		return l, err
	}
	l.Wire(ctx, log, signer, places, messages)
	return l, nil
}

func signer(c config.Audit, stream string) (note.Signer, error) {
	key, err := Key(c)
	if err != nil {
		return nil, err
	}
	return key.Signer(audit.Origin(c.Name, stream))
}
