package logs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/words"
)

const (
	// maxSpans is how many runs of lost sequences one acceptance lists; the rest is one run.
	maxSpans = 1000
	// maxNamed is how many of a stream an error names.
	maxNamed = 5
)

// Losses are what the streams of a cluster lack, though signed checkpoints cover it.
type Losses struct {
	// Lines name it, one stream and place each.
	Lines []string
	// Gone are the lost sequences by stream, with those that were accepted before; of
	// "CHECKPOINTS/<stream>", which of the log over that stream the newest checkpoint lacks.
	Gone map[string][]publish.Span
	// ends are the newest sealed sequences.
	ends map[string]uint64
}

// FindLosses compares the streams of a cluster with the newest checkpoint in each place: the stream
// CHECKPOINTS, the checkpoint file and folders of checkpoints. It reads the ends of the streams and
// of the logs only.
func FindLosses(ctx context.Context, cfg *config.Config, bus *publish.Store) (l Losses, err error) {
	l = Losses{ends: map[string]uint64{}}
	kept := Sealed(cfg).Kept
	if kept == nil {
		return l, nil
	}
	known, err := kept()
	if err != nil {
		return l, err
	}
	if l.Gone, err = accepted(ctx, bus); err != nil {
		return l, err
	}
	keys, err := Keys(cfg.Audit)
	if err != nil {
		return l, err
	}
	for _, stream := range Streams {
		log, err := Open(ctx, bus, cfg.Audit, stream, keys)
		if err == nil {
			err = l.compare(ctx, bus, log, known[stream])
		}
		if err != nil {
			return l, fmt.Errorf("comparing stream %s with its checkpoints: %w", stream, err)
		}
	}
	return l, nil
}

// compare adds what one stream lacks.
func (l *Losses) compare(ctx context.Context, bus *publish.Store, log *audit.Log, known storefolder.Known) error {
	stream := log.Options().Stream
	cp, err := log.Checkpoint(ctx)
	if err != nil && !errors.Is(err, audit.ErrNoCheckpoint) {
		if errors.Is(err, conn.ErrUnavailable) {
			return err
		}
		return nil // sealing says what is wrong with it
	}
	size := uint64(cp.Tree.N)
	if size < known.Size {
		l.add(conn.CheckpointsStream+"/"+stream, known.Where, []publish.Span{{First: size + 1, Last: known.Size}})
	} else {
		known = storefolder.Known{Size: size, Where: "the stream " + conn.CheckpointsStream}
	}
	if l.ends[stream] = known.Size; known.Size == 0 {
		return nil
	}
	gone, err := bus.Gone(ctx, stream, known.Size)
	if err != nil {
		return err
	}
	leaves := sealedLeaves{log: log, tree: cp.Tree}
	if gone, err = leaves.present(ctx, gone); err != nil {
		return err
	}
	replaced, err := leaves.replaced(ctx)
	l.add(stream, known.Where, append(gone, replaced...))
	return err
}

// add notes lost sequences, but for accepted ones.
func (l *Losses) add(stream, where string, gone []publish.Span) {
	slices.SortFunc(gone, bySequence)
	fresh := without(gone, l.Gone[stream])
	for _, s := range fresh[:min(len(fresh), maxNamed)] {
		l.Lines = append(l.Lines, fmt.Sprintf("%s: sequences %d to %d are missing or replaced, according to a signed checkpoint in %s", stream, s.First, s.Last, where))
	}
	if more := len(fresh) - maxNamed; more > 0 {
		l.Lines = append(l.Lines, fmt.Sprintf("%s: and %s of sequences", stream, words.Count(more, "other run")))
	}
	all := append(l.Gone[stream], fresh...)
	slices.SortFunc(all, bySequence)
	if len(all) > maxSpans {
		all = append(all[:maxSpans-1:maxSpans-1], publish.Span{First: all[maxSpans-1].First, Last: all[len(all)-1].Last})
	}
	if len(all) > 0 {
		l.Gone[stream] = all
	}
}

func bySequence(a, b publish.Span) int { return cmp.Compare(a.First, b.First) }

// without returns the parts of some spans that no other covers; cut is ascending.
func without(spans, cut []publish.Span) (left []publish.Span) {
	for _, s := range spans {
		for _, c := range cut {
			if c.Last < s.First || c.First > s.Last {
				continue
			}
			if c.First > s.First {
				left = append(left, publish.Span{First: s.First, Last: c.First - 1})
			}
			s.First = c.Last + 1
		}
		if s.First <= s.Last {
			left = append(left, s)
		}
	}
	return left
}

// Err is the error of a start that finds losses; nil if there are none.
func (l Losses) Err() error {
	if len(l.Lines) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s; restore the streams from a backup (`nats stream restore`); without a backup, "+
		"`receiver streams mend --accept-loss` accepts the loss and records it", conn.ErrLost, strings.Join(l.Lines, "; "))
}

// acceptance are the details of an action that accepts losses of a cluster.
type acceptance struct {
	Lost []string                  `json:"lost"`
	Gone map[string][]publish.Span `json:"gone"`
}

// accepted returns what was accepted so far: each acceptance repeats those before it.
func accepted(ctx context.Context, bus *publish.Store) (map[string][]publish.Span, error) {
	a, ok, err := bus.LastAction(ctx, job.ActionMend)
	var details acceptance
	if ok {
		_ = json.Unmarshal(a.Details, &details) // one of an embedded store has no such details
	}
	if details.Gone == nil {
		details.Gone = map[string][]publish.Span{}
	}
	return details.Gone, err
}

// Accept records that an operator accepts the losses. Streams of which nothing is left go on behind
// what was sealed.
func (l Losses) Accept(ctx context.Context, bus *publish.Store, action job.Action) (err error) {
	action.Time = time.Now()
	if action.Details, err = json.Marshal(acceptance{l.Lines, l.Gone}); err != nil {
		return err
	}
	for stream, end := range l.ends {
		if err := bus.ContinueBehind(ctx, stream, end); err != nil {
			return err
		}
	}
	_, err = bus.Act(ctx, action)
	return err
}
