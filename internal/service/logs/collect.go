package logs

import (
	"context"
	"errors"

	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/publish/anchorstream"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// Collect reads every place where checkpoints are kept.
func Collect(ctx context.Context, cfg *config.Config, bus *publish.Store) (*anchor.Collection, error) {
	keys, err := Keys(cfg.Audit)
	if err != nil {
		return nil, err
	}
	k := &anchor.Collection{Keys: keys}
	before, err := recorded(ctx, cfg, bus)
	if err != nil {
		return nil, err
	}
	k.Promise("audit.anchors", Receipts(cfg), before)
	started, err := EveryRecorded(ctx, bus)
	if err != nil {
		return nil, err
	}
	k.Tell(started)
	extent, err := bus.Extent(ctx, conn.CheckpointsStream)
	switch {
	case errors.Is(err, conn.ErrMissing): // each log says that it has none
		err = nil
	case err == nil:
		src := StreamSource{Bus: bus, Stream: conn.CheckpointsStream}
		err = k.AddStream(ctx, conn.CheckpointsStream, src, extent.Last, reader.ErrStalled)
	}
	if err != nil {
		return nil, err
	}
	// Of a cluster another machine may write the file; a store alone has sealed nothing without it.
	k.AddFile("audit.checkpoint_file", cfg.Abs(cfg.Audit.CheckpointFile), cfg.NATS.Embeds())
	for _, a := range cfg.Audit.Anchors {
		switch {
		case a.Directory != "":
			k.AddDir("audit.anchors", anchor.Dir{Path: cfg.Abs(a.Directory)})
		case len(a.NATS.URLs) > 0:
			if err := addAccount(ctx, cfg, k, a.NATS); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range cfg.Audit.Anchors { // when every cosignature is collected
		if a.Witness != "" {
			witness, err := anchor.NewWitness(a.Witness, a.Key, nil)
			if err != nil {
				return nil, config.UseErrorf("audit.anchors: %w", err)
			}
			k.AddWitness(a.Witness, witness)
		}
	}
	k.Compare("audit.anchors")
	return k, nil
}

// addAccount reads an anchor in another NATS account.
func addAccount(ctx context.Context, cfg *config.Config, k *anchor.Collection, n config.AnchorNATS) error {
	account, err := anchorstream.Dial(AnchorOptions(cfg, n))
	if err != nil {
		return config.UseErrorf("audit.anchors: %w", err)
	}
	defer account.Close()
	return k.AddAccount(ctx, "audit.anchors", Place(cfg.Audit), account, n.URLs[0]+", "+n.Stream)
}
