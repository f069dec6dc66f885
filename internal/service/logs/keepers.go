package logs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/note"

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

// OpenKeepers wires a keeper to the streams. Observe may be nil. While there are logs over them
// with another name that were neither continued nor ended, it is a config.UseError.
func OpenKeepers(ctx context.Context, cfg *config.Config, bus *publish.Store, o sealing.Options) (*Keepers, error) {
	return openKeepers(ctx, cfg, bus, o, refuseAbandoned)
}

// openAnyway allows every log, for openKeepers.
func openAnyway(context.Context, *config.Config, *publish.Store, anchor.Largest) error { return nil }

func openKeepers(
	ctx context.Context, cfg *config.Config, bus *publish.Store, o sealing.Options,
	allowed func(context.Context, *config.Config, *publish.Store, anchor.Largest) error,
) (_ *Keepers, err error) {
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
		return k, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if err = allowed(ctx, cfg, bus, k.checkpoints.Largest()); err != nil {
		return k, err
	}
	if cfg.NATS.Embeds() && len(k.checkpoints.Largest()) == 0 {
		if sealed, err := bus.Extent(ctx, conn.CheckpointsStream); err == nil && sealed.Last > 0 {
			o.Log.Warn().Str("file", cfg.Abs(cfg.Audit.CheckpointFile)).Uint64("checkpoints", sealed.Last).
				Msg("the store has checkpoints and the checkpoint file has none; unless you moved the file, compare the store with an anchor or an archive")
		}
	}
	lease, err := bus.Lease(ctx, "seal."+Place(cfg.Audit))
	if err != nil {
		return k, err
	}
	o.Lease, o.Keep, o.Prove = lease, k.checkpoints.Keep, k.checkpoints.Prove
	o.Interval, o.AnchorInterval = cfg.Audit.Interval, cfg.Audit.AnchorInterval
	places, err := k.openAnchors(cfg)
	if err != nil {
		return k, err
	}
	receipts, err := openReceipts(ctx, cfg, bus, places)
	if err != nil {
		return k, err
	}
	o.Logs = make([]sealing.Log, len(Streams))
	errs := make([]error, len(Streams))
	var opening sync.WaitGroup // at once, so that a slow anchor delays the start once only
	for i, stream := range Streams {
		opening.Go(func() { o.Logs[i], errs[i] = k.sealLog(ctx, cfg, bus, stream, places, receipts, o.Log) })
	}
	if opening.Wait(); errors.Join(errs...) != nil {
		return k, errors.Join(errs...)
	}
	k.Keeper = sealing.New(o)
	return k, nil
}

// openReceipts opens what the anchors have received; nil without anchors.
func openReceipts(ctx context.Context, cfg *config.Config, bus *publish.Store, places []anchor.Place) (*anchor.Receipts, error) {
	kept, err := KeepReceipts(ctx, cfg, bus)
	if err != nil || kept == nil {
		return nil, err
	}
	ids := make([]anchor.ID, 0, len(places))
	for _, p := range places {
		ids = append(ids, p.ID)
	}
	return anchor.OpenReceipts(Receipts(cfg), ids...), nil
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
func (k *Keepers) sealLog(ctx context.Context, cfg *config.Config, bus *publish.Store, stream string, places []anchor.Place, receipts *anchor.Receipts, messages zerolog.Logger) (sealing.Log, error) {
	l := sealing.Log{
		Stream: stream, Last: StreamSource{bus, stream}.Last, Kept: k.checkpoints.Known(Origin(cfg.Audit, stream)), Open: stream == conn.AttemptsStream,
		Inspect: inspect(ctx, cfg, bus), Limited: stream != conn.ActionsStream,
	}
	keys, err := Keys(cfg.Audit)
	if err != nil {
		return l, err
	}
	log, err := Open(ctx, bus, cfg.Audit, stream, keys)
	if err != nil {
		return l, err
	}
	signer, err := signer(cfg.Audit, stream)
	if err != nil {
		return l, err
	}
	l.Wire(ctx, log, signer, places, receipts, messages)
	return l, nil
}

func signer(c config.Audit, stream string) (note.Signer, error) {
	key, err := Key(c)
	if err != nil {
		return nil, err
	}
	return key.Signer(Origin(c, stream))
}
