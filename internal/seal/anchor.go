package seal

import (
	"bytes"
	"context"
	"time"

	"receiver/internal/audit"
)

// anchor tells a log's anchors of its newest checkpoint, if there is a new one and it is
// time to, or if it must be now.
func (k *Keeper) anchor(ctx context.Context, l *kept, now bool) {
	if len(l.Anchors) == 0 || l.note == nil || l.state.Err != nil || bytes.Equal(l.note, l.anchored) {
		return
	}
	if !now && time.Since(l.toldAt) < k.o.AnchorInterval {
		return
	}
	l.toldAt = time.Now()
	cp, err := audit.ReadCheckpoint(l.note)
	if err != nil {
		return // Keep was given it, so it is one
	}
	whole := true
	for _, a := range l.Anchors {
		told, err := a.Tell(ctx, cp)
		if err == nil {
			err = k.keep(ctx, l, told)
		}
		if err == nil {
			cp = told // the next anchor gets the cosignature too
			continue
		}
		whole = false
		if ctx.Err() == nil && l.anchors.due(time.Now()) {
			k.o.Log.Warn().Err(err).Str("stream", l.Stream).Str("anchor", a.Name).Msg("anchor not told; trying again")
		}
	}
	if whole {
		l.anchored, l.anchors = l.note, alarm{}
	}
}
