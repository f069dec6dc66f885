// Package archiving exports the logs of a running receiver to archives, as audit.export says, and
// warns before limits remove records that are in no archive.
//
// It learns what was exported from the actions in ACTIONS alone. It never removes a record, and it
// gives way to callbacks: an export takes a quarter of the time of one processor.
package archiving

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/service/logs"
)

// Options are what a keeper works with. Config and Store must be set, and audit.key in Config.
type Options struct {
	Config *config.Config
	Store  *publish.Store
	Log    zerolog.Logger
	// Observe, unless nil, is called with the oldest unarchived record of each stream.
	Observe func(Unarchived)
	// Tick is the time between two looks; zero means a minute, or a quarter of a short interval.
	Tick time.Duration
}

// Keeper makes archives in time.
type Keeper struct {
	Options
	keys    audit.Keys
	lease   *publish.Lease // nil without audit.export.folder
	history *history
	warned  map[string]time.Time // by stream
	failed  time.Time            // when an export failed last
	unread  time.Time            // when it was said last that the records cannot be read
}

// New returns a keeper. Nothing happens before Run.
func New(ctx context.Context, o Options) (*Keeper, error) {
	k := &Keeper{Options: o, history: newHistory(), warned: map[string]time.Time{}}
	if k.Tick == 0 {
		k.Tick = min(time.Minute, o.Config.Audit.Export.Interval/4)
	}
	var err error
	if k.keys, err = logs.Keys(o.Config.Audit); err != nil {
		return nil, err
	}
	if o.Config.Audit.Export.Folder != "" {
		if k.lease, err = o.Store.Lease(ctx, "export."+logs.Place(o.Config.Audit)); err != nil {
			return nil, fmt.Errorf("audit.export: %w", err)
		}
	}
	return k, nil
}

// Run looks at once and then at every tick, until ctx is done.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(k.Tick)
	defer tick.Stop()
	for {
		if err := k.round(ctx); err != nil && ctx.Err() == nil && time.Since(k.unread) > time.Hour {
			k.unread = time.Now()
			k.Log.Warn().Err(err).Msg("finding the records that are in no archive failed and is tried again")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round exports what is due, and then looks at what is left.
func (k *Keeper) round(ctx context.Context) error {
	if err := k.history.follow(ctx, k.Store); err != nil {
		return err
	}
	if k.lease != nil {
		k.exportDue(ctx)
	}
	all, err := k.history.survey(ctx, k.Config, k.Store)
	if err != nil {
		return err
	}
	for _, u := range all {
		if k.Observe != nil {
			k.Observe(u)
		}
		k.warn(u)
	}
	return nil
}

// warnEvery is the shortest time between two warnings of a stream.
const warnEvery = 24 * time.Hour

func (k *Keeper) warn(u Unarchived) {
	if !u.Due || time.Since(k.warned[u.Stream]) < warnEvery {
		return
	}
	k.warned[u.Stream] = time.Now()
	event := k.Log.Warn().Str("stream", u.Stream).Uint64("sequence", u.Sequence).Time("stored", u.Stored.UTC())
	if !u.Ends.IsZero() {
		event = event.Time("ends", u.Ends.UTC())
	}
	event.Msg("records that are in no archive are removed soon; run receiver audit export, or set audit.export.folder")
}
