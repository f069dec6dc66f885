package logs

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish"
)

// Unsealed is what a stream holds at a start that no checkpoint covers.
type Unsealed struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// Added is the first of them that the last clean stop did not note: it was written while no
	// receiver ran. It is 0 without one.
	Added uint64 `json:"added,omitempty"`
}

// ListUnsealed logs what is in the streams and not sealed, before it is, and returns it by stream.
// Found is how the embedded server found them; a cluster has none. Nothing is listed without a log
// key, and what is wrong with a log, sealing says.
func ListUnsealed(ctx context.Context, cfg *config.Config, bus *publish.Store, found storefolder.Found, log zerolog.Logger) map[string]Unsealed {
	all := map[string]Unsealed{}
	if cfg.Audit.Key.Empty() {
		return all
	}
	keys, err := Keys(cfg.Audit)
	if err != nil {
		return all
	}
	for _, stream := range Streams {
		last, noted := found.Last[stream]
		if !noted {
			if last, err = bus.LastSequence(ctx, stream); err != nil {
				continue
			}
		}
		sealed, err := sealedOf(ctx, bus, cfg.Audit, stream, keys)
		if err != nil || last <= sealed {
			continue
		}
		u := Unsealed{First: sealed + 1, Last: last}
		if stopped, clean := found.Stopped[stream]; clean && last > stopped {
			u.Added = max(stopped, sealed) + 1
		}
		u.log(log, stream, found.Last != nil && found.Stopped == nil)
		all[stream] = u
	}
	return all
}

// sealedOf returns the last sealed sequence of a stream.
func sealedOf(ctx context.Context, bus *publish.Store, c config.Audit, stream string, keys audit.Keys) (uint64, error) {
	log, err := Open(ctx, bus, c, stream, keys)
	if err != nil {
		return 0, err
	}
	cp, err := log.Checkpoint(ctx)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return 0, nil
	}
	return uint64(cp.Tree.N), err
}

// log says it, at a level that depends on how the last receiver ended.
func (u Unsealed) log(log zerolog.Logger, stream string, crashed bool) {
	if u.Added > 0 {
		log.Error().Str("stream", stream).Uint64("first", u.Added).Uint64("last", u.Last).
			Msg("records were written to the store after the last clean stop and are sealed now; find out where they came from")
		if u.First == u.Added {
			return
		}
		u.Last = u.Added - 1
	}
	level := zerolog.InfoLevel
	if crashed {
		level = zerolog.WarnLevel
	}
	log.WithLevel(level).Str("stream", stream).Uint64("first", u.First).Uint64("last", u.Last).
		Msg("the store holds records that were not sealed before this start; they are sealed now")
}
