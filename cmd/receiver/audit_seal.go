package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/seal"
)

func newAuditSeal(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "seal",
		Short: "Seal everything that is stored now, and print the checkpoints",
		Long: `seal returns when everything that was stored when it was called is sealed. While a
receiver serves, which seals by itself, it waits for that one; without any it seals
itself. It refuses to sign what contradicts the checkpoints that are known.`,
		Example: "  receiver audit seal\n  receiver audit seal -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if cfg.Audit.Key.Empty() {
				return usagef("audit.key is not set; `receiver audit init` makes one")
			}
			bus, done, err := a.write(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer done()
			checkpoints, err := a.sealNow(cmd.Context(), cfg, bus)
			if err != nil {
				return err
			}
			return a.printCheckpoints(checkpoints)
		},
	}
}

// sealPatience is how long a command waits for the replica that seals.
const sealPatience = 30 * time.Second

func (a *app) sealNow(ctx context.Context, cfg *config.Config, bus *publish.Bus) (_ []audit.Checkpoint, err error) {
	ctx, cancel := context.WithTimeout(ctx, sealPatience)
	defer cancel()
	keepers, err := openKeepers(ctx, cfg, bus, seal.Options{Log: a.logger(cfg.Log)})
	if errors.Is(err, errFileLocked) {
		return awaitSealed(ctx, cfg, bus)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, keepers.close()) }()
	checkpoints, err := keepers.Seal(ctx)
	if err != nil {
		return nil, err
	}
	return checkpoints, keepers.Finish(ctx)
}

// sealing seals what a command has added to a store that nobody else has open, before it
// is closed.
func (a *app) sealing(cfg *config.Config, bus *publish.Bus, done closer) closer {
	if bus == nil || cfg.Audit.Key.Empty() {
		return done
	}
	return func() {
		defer done()
		if _, err := a.sealNow(context.Background(), cfg, bus); err != nil {
			a.say("what was added is not sealed: %v; `receiver audit seal` or `receiver serve` does it", err)
		}
	}
}

// awaitSealed waits until the process that writes the checkpoint file has sealed
// everything there was.
func awaitSealed(ctx context.Context, cfg *config.Config, bus *publish.Bus) ([]audit.Checkpoint, error) {
	keys, err := auditKeys(cfg.Audit)
	if err != nil {
		return nil, err
	}
	var all []audit.Checkpoint
	for _, stream := range sealedStreams {
		log, err := openLog(ctx, bus, cfg.Audit.Name, stream, keys)
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
			return cp, fmt.Errorf("waiting for the receiver that seals: %w; look at its log", ctx.Err())
		case <-tick.C:
		}
	}
}

func (a *app) printCheckpoints(checkpoints []audit.Checkpoint) error {
	if a.output == "json" {
		for _, cp := range checkpoints {
			if err := printJSON(a.out, checkpointJSON(cp)); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]string, 0, len(checkpoints))
	for _, cp := range checkpoints {
		rows = append(rows, []string{cp.Origin, fmt.Sprint(cp.Tree.N), cp.Tree.Hash.String(), fmt.Sprint(len(cp.Cosignatures))})
	}
	return table(a.out, []string{"LOG", "LEAVES", "ROOT", "COSIGNED"}, rows)
}

func checkpointJSON(cp audit.Checkpoint) map[string]any {
	cosignatures := make([]map[string]any, 0, len(cp.Cosignatures))
	for _, c := range cp.Cosignatures {
		cosignatures = append(cosignatures, map[string]any{"witness": c.Witness, "time": c.Time.UTC()})
	}
	return map[string]any{
		"origin": cp.Origin, "size": cp.Tree.N, "root": cp.Tree.Hash.String(), "checkpoint": string(cp.Note), "cosignatures": cosignatures,
	}
}
