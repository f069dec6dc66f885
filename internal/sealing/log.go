package sealing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
)

// Wire gives l, which has all but these, its sealer and its anchors. That what was kept of the
// log cannot be believed does not keep a receiver from starting: it is said as everything else
// that is wrong with a log. Receipts, which may be nil, have what the anchors have received before.
func (l *Log) Wire(ctx context.Context, log *audit.Log, signer note.Signer, places []anchor.Place, receipts *anchor.Receipts, messages zerolog.Logger) {
	l.odd = &odd{log: messages, stream: l.Stream}
	o := audit.SealerOptions{Signer: signer, Odd: l.odd.see, Inspect: l.Inspect, Limited: l.Limited, Rebuilt: func(r audit.Rebuilt) {
		messages.Warn().Str("stream", l.Stream).Int("tiles", r.Tiles).Int("lost", r.Lost).
			Msg("tiles of the audit log were lost and are rebuilt from the records")
	}}
	if l.Kept != nil {
		o.Known = [][]byte{l.Kept}
	}
	sealer, err := audit.NewSealer(log, o)
	if err != nil {
		l.Sealer = brokenSealer{fmt.Errorf("audit.checkpoint_file: %w", err)}
		return
	}
	l.Sealer = sealer
	w := wiring{sealer, log.Options().Origin, l.Stream, receipts, messages}
	l.Anchors = make([]Anchor, len(places))
	var reading sync.WaitGroup
	for i, place := range places {
		reading.Go(func() { l.Anchors[i] = w.anchor(ctx, place) })
	}
	reading.Wait()
}

// wiring is what the anchors of one log have in common.
type wiring struct {
	sealer         *audit.Sealer
	origin, stream string
	receipts       *anchor.Receipts
	messages       zerolog.Logger
}

// anchorTimeout bounds how long a start waits for the answers of the anchors.
const anchorTimeout = 3 * time.Second

// anchor is a place for this log. The sealer reads the checkpoints that it holds already, so that a
// store that was rolled back while no receiver ran is not sealed any further. An anchor that does
// not answer does not prevent the start: it is read when it answers, before it gets a checkpoint.
func (w wiring) anchor(ctx context.Context, p anchor.Place) Anchor {
	asking, cancel := context.WithTimeout(ctx, anchorTimeout)
	defer cancel()
	before, err := w.before(p)
	if err == nil {
		err = p.Know(asking, w.sealer, w.stream, before.Size)
	}
	fork := new(audit.ForkError)
	switch {
	case err == nil, errors.As(err, &fork): // the first sealing is refused, and says why
	case errors.Is(err, anchor.ErrForgotten):
		forgot(w.messages, w.stream, p.Name, err)
	default:
		w.messages.Warn().Err(err).Str("stream", w.stream).Str("anchor", p.Name).Msg("reading an anchor failed, in whole or in part")
	}
	return Anchor{
		Name: p.Name, Size: before.Size, Time: before.Time,
		Tell: func(ctx context.Context, cp audit.Checkpoint) (audit.Checkpoint, error) {
			before, err := w.before(p)
			if err != nil {
				return cp, err
			}
			return p.Tell(ctx, w.sealer, w.stream, cp, before.Size)
		},
		Told: func(cp audit.Checkpoint) error {
			if w.receipts == nil {
				return nil
			}
			return w.receipts.Told(p.ID, cp, time.Now())
		},
	}
}

// before is what the place received of this log until now.
func (w wiring) before(p anchor.Place) (anchor.Receipt, error) {
	if w.receipts == nil {
		return anchor.Receipt{}, nil
	}
	return w.receipts.Of(p.ID, w.origin)
}

// brokenSealer seals nothing, for a reason.
type brokenSealer struct{ err error }

// Seal says why nothing is sealed, as SealSome and Follow do.
func (b brokenSealer) Seal(context.Context) (audit.Checkpoint, error) {
	return audit.Checkpoint{}, b.err
}

// SealSome says why nothing is sealed.
func (b brokenSealer) SealSome(context.Context, int64) (audit.Checkpoint, error) {
	return audit.Checkpoint{}, b.err
}

// Follow says why nothing is sealed.
func (b brokenSealer) Follow(context.Context) (audit.Checkpoint, error) {
	return audit.Checkpoint{}, b.err
}
