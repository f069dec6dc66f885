package main

import (
	"context"
	"errors"

	"receiver/internal/audit"
	"receiver/internal/audit/logkey"
	"receiver/internal/bench"
	"receiver/internal/config"
	"receiver/internal/publish/conn"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

// sealingGoal is what is left of the rate while the streams are sealed: issue 4.
const sealingGoal = 0.98

// sealingLanes measure the receiver with its streams sealed and not.
func (b *selfBench) sealingLanes(syncs []string) (lanes []bench.Lane, targets []bench.Target) {
	for _, sync := range syncs {
		publishing := gathered
		if sync == config.SyncInterval {
			publishing = oneByOne
		}
		plain := bench.Lane{Name: "receiver, accepted", Sync: sync, Publishing: publishing}
		plain.Run = b.run(plain, b.load, b.receiver)
		sealed := bench.Lane{Name: "receiver, accepted, sealing", Sync: sync, Publishing: publishing}
		sealed.Run = b.run(sealed, b.load, b.sealed)
		of, to := len(lanes)+1, len(lanes)
		lanes = append(lanes, plain, sealed)
		targets = append(targets,
			bench.Target{Name: "sealing / not", Of: of, To: to, Figure: bench.ByRate, Goal: sealingGoal},
			bench.Target{Name: "sealing / not", Of: of, To: to, Figure: bench.ByP99},
			bench.Target{Name: "sealing / not", Of: of, To: to, Figure: bench.ByCPU},
		)
	}
	return lanes, targets
}

// sealed brings up what serve does with audit.key set.
func (b *selfBench) sealed(ctx context.Context, cfg *config.Config) (measured, error) {
	key, err := logkey.Generate(cfg.Audit.Name)
	if err != nil {
		return measured{}, err
	}
	cfg.Audit.Key = config.NewSecret(key.Secret())
	in, stop, err := b.instance(ctx, cfg)
	if err != nil {
		return measured{}, err
	}
	return measured{in.PublicURL(), func() error {
		return errors.Join(b.countSealed(cfg, in), stop())
	}}, nil
}

// countSealed notes how much of what was stored is sealed at the end of a measurement.
func (b *selfBench) countSealed(cfg *config.Config, in *service.Instance) error {
	ctx, cancel := context.WithTimeout(context.Background(), benchTimeout)
	defer cancel()
	keys, err := logs.Keys(cfg.Audit)
	if err != nil {
		return err
	}
	log, err := logs.Open(ctx, in.Store(), cfg.Audit, conn.JobsStream, keys)
	if err != nil {
		return err
	}
	last, err := in.Store().LastSequence(ctx, conn.JobsStream)
	if err != nil {
		return err
	}
	cp, err := log.Checkpoint(ctx)
	if err != nil && !errors.Is(err, audit.ErrNoCheckpoint) {
		return err
	}
	b.stored, b.covered = b.stored+last, b.covered+uint64(cp.Tree.N)
	return nil
}
