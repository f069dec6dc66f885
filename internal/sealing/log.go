package sealing

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
)

// Wire gives l, which has all but these, its sealer and its anchors. That what was kept of the
// log cannot be believed does not keep a receiver from starting: it is said as everything else
// that is wrong with a log.
func (l *Log) Wire(ctx context.Context, log *audit.Log, signer note.Signer, places []anchor.Place, messages zerolog.Logger) {
	o := audit.SealerOptions{Signer: signer}
	if l.Kept != nil {
		o.Known = [][]byte{l.Kept}
	}
	sealer, err := audit.NewSealer(log, o)
	if err != nil {
		l.Sealer = brokenSealer{fmt.Errorf("audit.checkpoint_file: %w", err)}
		return
	}
	l.Sealer = sealer
	for _, place := range places {
		l.Anchors = append(l.Anchors, l.anchor(ctx, sealer, place, messages))
	}
}

// anchorTimeout bounds how long a start waits for one answer of an anchor.
const anchorTimeout = 3 * time.Second

// anchor is a place for this log. The sealer reads the checkpoints that it holds already, so that a
// store that was rolled back while no receiver ran is not sealed any further. An anchor that does
// not answer does not prevent the start: it is read when it answers, before it gets a checkpoint.
func (l *Log) anchor(ctx context.Context, s *audit.Sealer, p anchor.Place, messages zerolog.Logger) Anchor {
	if p.Know != nil {
		asking, cancel := context.WithTimeout(ctx, anchorTimeout)
		defer cancel()
		if err := p.Know(asking, s, l.Stream); err != nil {
			messages.Warn().Err(err).Str("stream", l.Stream).Str("anchor", p.Name).Msg("reading an anchor failed, in whole or in part")
		}
	}
	return Anchor{Name: p.Name, Tell: func(ctx context.Context, cp audit.Checkpoint) (audit.Checkpoint, error) {
		return p.Tell(ctx, s, l.Stream, cp)
	}}
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
