package logs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/sealing"
)

// sealTimeout is how long a command waits for the replica that seals.
const sealTimeout = 30 * time.Second

// Seal seals what is stored, or waits until the process that does so has.
func Seal(ctx context.Context, cfg *config.Config, bus *publish.Store, log zerolog.Logger) ([]audit.Checkpoint, error) {
	return sealWith(ctx, cfg, bus, log, refuseAbandoned)
}

func sealWith(
	ctx context.Context, cfg *config.Config, bus *publish.Store, log zerolog.Logger,
	allowed func(context.Context, *config.Config, *publish.Store, anchor.Largest) error,
) (_ []audit.Checkpoint, err error) {
	ctx, cancel := context.WithTimeout(ctx, sealTimeout)
	defer cancel()
	keepers, err := openKeepers(ctx, cfg, bus, sealing.Options{Log: log}, allowed)
	if errors.Is(err, sealing.ErrLocked) {
		return awaitSealed(ctx, cfg, bus)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, keepers.Close()) }()
	checkpoints, err := keepers.Seal(ctx)
	if err != nil {
		return nil, err
	}
	return checkpoints, keepers.Finish(ctx)
}

// awaitSealed waits until the process that writes the checkpoint file has sealed
// everything there was.
func awaitSealed(ctx context.Context, cfg *config.Config, bus *publish.Store) ([]audit.Checkpoint, error) {
	keys, err := Keys(cfg.Audit)
	if err != nil {
		return nil, err
	}
	var all []audit.Checkpoint
	for _, stream := range Streams {
		log, err := Open(ctx, bus, cfg.Audit, stream, keys)
		if err != nil {
			return nil, err
		}
		goal, err := bus.LastSequence(ctx, stream)
		if err != nil {
			return nil, err
		}
		cp, err := awaitSize(ctx, log, goal)
		if err != nil {
			return nil, err
		}
		all = append(all, cp)
	}
	return all, nil
}

func awaitSize(ctx context.Context, log *audit.Log, goal uint64) (audit.Checkpoint, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		cp, err := log.Checkpoint(ctx)
		if err == nil && uint64(cp.Tree.N) >= goal {
			return cp, nil
		}
		if err != nil && !errors.Is(err, audit.ErrNoCheckpoint) {
			return cp, err
		}
		select {
		case <-ctx.Done():
			return cp, fmt.Errorf("waiting for the receiver that seals: %w; check its log", ctx.Err())
		case <-tick.C:
		}
	}
}
