package logs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"

	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Receipts is the file in which a receiver keeps the receipts of its anchors.
func Receipts(cfg *config.Config) string { return cfg.Abs(cfg.Audit.CheckpointFile) + ".receipts" }

// startDetails are those of the action of a start that say what its anchors received before. They
// are sealed, so the file cannot lose a line unnoticed.
type startDetails struct {
	Receipts *[]anchor.Receipt `json:"receipts"` // nil if no file was kept
}

// KeepReceipts makes the file of receipts if there are anchors, and returns what is in it, for the
// record of a start; nil if no file is kept. One that an earlier start tells of, and that is gone,
// is not made anew: what the anchors received is forgotten then, and is returned as it was.
func KeepReceipts(ctx context.Context, cfg *config.Config, bus *publish.Store) (*[]anchor.Receipt, error) {
	if cfg.Audit.Key.Empty() || len(cfg.Audit.Anchors) == 0 {
		return nil, nil
	}
	told, err := anchor.ReadReceipts(Receipts(cfg))
	if err == nil {
		return &told, nil
	}
	before, unknown := recorded(ctx, cfg, bus)
	if unknown != nil || before != nil || !errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(before, &[]anchor.Receipt{}), unknown // what is wrong with the file, its next reader says
	}
	return &[]anchor.Receipt{}, anchor.CreateReceipts(Receipts(cfg))
}

// recorded returns what the newest start tells of receipts; nil if it tells of none, as a store of
// an earlier version. In a cluster the start may be one of another machine, with a file of its own.
func recorded(ctx context.Context, cfg *config.Config, bus *publish.Store) (*[]anchor.Receipt, error) {
	if !cfg.NATS.Embeds() || len(cfg.Audit.Anchors) == 0 {
		return nil, nil
	}
	start, found, err := bus.LastAction(ctx, job.ActionStart)
	if err != nil && errors.Is(err, conn.ErrUnavailable) {
		return nil, err
	}
	var d startDetails
	if !found || err != nil || json.Unmarshal(start.Details, &d) != nil {
		return nil, nil // a record that cannot be read is a fault of its log
	}
	return d.Receipts, nil
}

// EveryRecorded returns what all starts tell of receipts, whatever anchors are configured today.
func EveryRecorded(ctx context.Context, bus *publish.Store) (all []anchor.Receipt, err error) {
	subject := job.Action{What: job.ActionStart}.Subject()
	for m, err := range bus.Messages(ctx, publish.Watch{Stream: conn.ActionsStream, Subjects: []string{subject}}) {
		if err != nil {
			return all, ctx.Err() // what cannot be read is a fault of its log
		}
		var d startDetails
		if a, err := job.ParseAction(m.Subject, m.Data); err == nil && json.Unmarshal(a.Details, &d) == nil && d.Receipts != nil {
			all = append(all, *d.Receipts...)
		}
	}
	return all, nil
}
