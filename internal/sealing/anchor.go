package sealing

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
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
		if err == nil && a.Told != nil {
			err = a.Told(told)
		}
		if err == nil {
			cp = told // the next anchor gets the cosignature too
			delete(l.anchors, a.Name)
			k.told(l.Stream, a.Name, told.Tree.N, time.Now())
			continue
		}
		whole = false
		k.notTold(ctx, l, a.Name, err)
	}
	if whole {
		l.anchored = cp.Note
	}
}

func (k *Keeper) told(stream, anchor string, size int64, at time.Time) {
	if k.o.Told != nil {
		k.o.Told(stream, anchor, size, at)
	}
}

// notTold says why an anchor did not get a checkpoint. If it contradicts the log, nothing more is
// sealed.
func (k *Keeper) notTold(ctx context.Context, l *kept, name string, err error) {
	if ctx.Err() != nil {
		return
	}
	if fork := new(audit.ForkError); errors.As(err, &fork) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.conclude(ctx, l, err)
		return
	}
	if l.anchors[name] == nil {
		l.anchors[name] = &alarm{}
	}
	switch {
	case !l.anchors[name].due(time.Now()):
	case errors.Is(err, anchor.ErrForgotten):
		forgot(k.o.Log, l.Stream, name, err)
	default:
		k.o.Log.Warn().Err(err).Str("stream", l.Stream).Str("anchor", name).Msg("sending a checkpoint to an anchor failed and is tried again")
	}
}

// forgot says that an anchor has less than it received.
func forgot(log zerolog.Logger, stream, name string, err error) {
	log.Error().Err(err).Str("stream", stream).Str("anchor", name).
		Msg("an anchor has less than it received and gets no checkpoints; find out what removed them, and run receiver audit verify")
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
