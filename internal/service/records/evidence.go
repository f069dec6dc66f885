package records

import (
	"context"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/service/logs"
)

// Evidence is what records are selected and proved from: a store, or archives.
type Evidence struct {
	Trail
	Stored
	// Log opens the log over a stream.
	Log func(stream string) (*audit.Log, error)
}

// EvidenceIn returns that of a store.
func EvidenceIn(ctx context.Context, bus *publish.Store, cfg *config.Config) (Evidence, error) {
	keys, err := logs.Keys(cfg.Audit)
	return Evidence{
		Trail: Streams(bus, cfg.SourceNames()), Stored: StoredIn(bus),
		Log: func(stream string) (*audit.Log, error) { return logs.Open(ctx, bus, cfg.Audit, stream, keys) },
	}, err
}

// Evidence returns that of the archives.
func (a *Archived) Evidence() (Evidence, error) {
	stored, err := a.Stored()
	return Evidence{Trail: a.Trail(), Stored: stored, Log: a.Log}, err
}
