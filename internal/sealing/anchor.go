package sealing

import (
	"bytes"
	"context"
	"time"

	"receiver/internal/audit"
)

// tellAnchors tells the anchors after each round that was ours, until ctx is done. It runs
// beside the rounds and has neither the lock nor the lease: how long an anchor takes to
// answer is up to others, and sealing does not wait for it.
func (k *Keeper) tellAnchors(ctx context.Context, ours <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ours:
		}
		for _, l := range k.logs {
			k.anchor(ctx, l, false)
		}
	}
}

// anchor tells a log's anchors of its newest checkpoint, if there is a new one and it is
// time to, or if it must be now. Only one goroutine may do so at a time.
func (k *Keeper) anchor(ctx context.Context, l *kept, now bool) {
	cp, due := k.toTell(l, now)
	if !due || ctx.Err() != nil {
		return
	}
	newest, whole := cp.Note, true
	for _, a := range l.Anchors {
		told, err := a.Tell(ctx, cp)
		if err == nil {
			err = k.keepTold(ctx, l, &newest, told)
		}
		if err == nil {
			cp = told // the next anchor gets the cosignature too
			continue
		}
		whole = false
		if ctx.Err() == nil && l.anchors.due(time.Now()) {
			k.o.Log.Warn().Err(err).Str("stream", l.Stream).Str("anchor", a.Name).Msg("sending a checkpoint to an anchor failed and is tried again")
		}
	}
	if whole {
		l.anchored, l.anchors = cp.Note, alarm{}
	}
}

// toTell returns the checkpoint to send to a log's anchors, if one is due.
func (k *Keeper) toTell(l *kept, now bool) (cp audit.Checkpoint, due bool) {
	if len(l.Anchors) == 0 {
		return cp, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.note == nil || l.state.Err != nil || bytes.Equal(l.note, l.anchored) {
		return cp, false
	}
	if !now && time.Since(l.toldAt) < k.o.AnchorInterval {
		return cp, false
	}
	l.toldAt = time.Now()
	cp, err := audit.ReadCheckpoint(l.note)
	return cp, err == nil // Keep was given it, so it is one
}

// keepTold keeps what came back from an anchor. If nothing was sealed meanwhile it is the
// newest from then on, which it is also in the store.
func (k *Keeper) keepTold(ctx context.Context, l *kept, newest *[]byte, told audit.Checkpoint) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if told.Note == nil || bytes.Equal(told.Note, *newest) || bytes.Equal(told.Note, l.note) {
		return nil
	}
	if err := k.o.Keep(ctx, told); err != nil {
		return err
	}
	if bytes.Equal(l.note, *newest) {
		l.note = told.Note
	}
	*newest = told.Note
	return nil
}
