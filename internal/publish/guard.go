package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/natsserver"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
	"receiver/internal/publish/schema"
)

// guardInterval is how often the streams of a cluster are checked; those of a server in this
// process are checked with its store.
const guardInterval = time.Second

// guardedStream is the state of a stream at the last check.
type guardedStream struct {
	want     jetstream.StreamConfig
	onDemand bool // it is created on first use
	seen     bool
	created  time.Time
	state    jetstream.StreamState
	failures int   // consecutive checks in which it was missing, or shorter than before
	err      error // nil if it is as it must be
}

// guardStatus is the result of a check of all streams.
type guardStatus struct {
	err      error // nil if all is well
	blocking bool  // nothing is stored meanwhile
}

// Guard checks the streams until ctx is done. It creates a removed stream again, with the sequences
// continued, unless that would lose something: without JOBS it is not known which jobs have ended.
// It empties the cache of JOBS when messages were removed there other than by age. Ready returns
// what it finds.
func (b *Store) Guard(ctx context.Context) {
	every := guardInterval
	if b.server != nil {
		every = 250 * time.Millisecond // as often as the server checks its disk
	}
	all := b.guardedStreams()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if b.server == nil || b.server.Status().State == natsserver.StateOK {
				b.guard(ctx, all)
			}
		}
	}
}

// guardedStreams returns the streams to be checked.
func (b *Store) guardedStreams() (all []*guardedStream) {
	for _, want := range b.opts.Streams.Configs() {
		all = append(all, &guardedStream{want: want})
	}
	return append(all, &guardedStream{want: b.opts.Streams.CheckpointsConfig(), onDemand: true},
		&guardedStream{want: jetstream.StreamConfig{Name: "OBJ_" + conn.PayloadBucket}, onDemand: true},
		&guardedStream{want: jetstream.StreamConfig{Name: "OBJ_" + conn.TilesBucket}, onDemand: true})
}

// guard checks all of them once.
func (b *Store) guard(ctx context.Context, all []*guardedStream) {
	var now guardStatus
	for _, g := range all {
		if ctx.Err() != nil {
			return
		}
		b.checkStream(ctx, g)
		if g.err != nil {
			now.err = errors.Join(now.err, g.err)
			now.blocking = now.blocking || g.want.Name == conn.JobsStream
		}
	}
	now.err = errors.Join(now.err, b.Set.Guard(ctx))
	was := b.guardStatus.Swap(&now)
	switch {
	case now.err != nil && (was.err == nil || was.err.Error() != now.err.Error()):
		b.opts.Log.Error().Err(now.err).Str("state", string(natsserver.StateStream)).Bool("refused", now.blocking).Msg("a stream failed its check")
	case now.err == nil && was.err != nil:
		b.opts.Log.Info().Msg("the streams pass their checks again")
	}
}

// checkStream checks one stream. If it cannot be read, its status stays.
func (b *Store) checkStream(ctx context.Context, g *guardedStream) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, g.want.Name)
	switch {
	case err == nil && g.want.Name == conn.JobsStream:
		b.compareJobs(g, s.CachedInfo())
	case err == nil:
		b.compareOther(ctx, g, s.CachedInfo())
	case ctx.Err() != nil || !errors.Is(err, jetstream.ErrStreamNotFound) || g.onDemand && !g.seen:
	case g.want.Name == conn.JobsStream:
		g.err = fmt.Errorf("stream %s was removed, and with it the events of finished jobs, so no callback is accepted; "+
			"restore it from a backup, or %s to start with an empty stream", conn.JobsStream, b.recoveryHint())
	case g.failures == 0:
		g.failures++ // the next check decides
	default:
		g.err = b.remake(ctx, g)
	}
}

// recoveryHint says what an operator without a backup of JOBS does. An embedded store that lost
// JOBS does not start unless the loss is accepted.
func (b *Store) recoveryHint() string {
	if b.server == nil {
		return "restart the receiver"
	}
	return "stop the receiver and run `receiver streams mend --accept-loss`"
}

// compareJobs compares JOBS with the last check.
func (b *Store) compareJobs(g *guardedStream, info *jetstream.StreamInfo) {
	now, was := info.State, g.state
	if g.seen && now.LastSeq < was.LastSeq {
		// A new leader may not have all messages yet.
		if g.failures++; b.server == nil && g.failures < 3 {
			return
		}
		b.forget()
		g.err = fmt.Errorf("stream %s ends at sequence %d, but it had reached %d: it was recreated or is an older copy, so no callback is accepted; "+
			"restore it from a backup, or %s to continue with it", conn.JobsStream, now.LastSeq, was.LastSeq, b.recoveryHint())
		return
	}
	if g.seen && (!g.created.Equal(info.Created) || holes(now) > holes(was) || b.early(was, info)) {
		b.opts.Log.Warn().Str("stream", conn.JobsStream).Uint64("messages", now.Msgs).Uint64("first", now.FirstSeq).
			Msg("another client removed messages; the receiver clears its cache of the stream")
		b.forget()
	}
	b.recent.begin(now.FirstSeq)
	g.err = schema.Breaking(g.want, info.Config)
	g.seen, g.created, g.state, g.failures = true, info.Created, now, 0
}

// holes is how many messages are missing between the first and the last.
func holes(s jetstream.StreamState) uint64 { return s.LastSeq + 1 - s.FirstSeq - s.Msgs }

// early reports whether the oldest message was removed before it expired.
func (b *Store) early(was jetstream.StreamState, info *jetstream.StreamInfo) bool {
	age, now := info.Config.MaxAge, time.Now()
	if b.opts.Streams.Forwarded {
		age = b.opts.Streams.WithDefaults().JobsMaxAge
	}
	if !info.TimeStamp.IsZero() {
		now = info.TimeStamp // by the clock that the first has its time from
	}
	return was.Msgs > 0 && info.State.FirstSeq > was.FirstSeq && (age == 0 || was.FirstTime.Add(age).After(now))
}

// forget drops everything that is cached of JOBS.
func (b *Store) forget() {
	b.recent.forget()
	b.feed.invalidate()
}

// compareOther compares a stream other than JOBS with the last check.
func (b *Store) compareOther(ctx context.Context, g *guardedStream, info *jetstream.StreamInfo) {
	g.err = nil
	if !g.onDemand {
		g.err = schema.Breaking(g.want, info.Config)
	}
	if g.seen && !g.created.Equal(info.Created) && g.want.Name == conn.WatchStream {
		if err := b.restoreWatches(ctx); err != nil {
			g.err = errors.Join(g.err, err)
			return // the next look finds it made again once more
		}
	}
	g.seen, g.created, g.state, g.failures = true, info.Created, info.State, 0
}

// remake creates a removed stream again. Its sequences continue, so that none is given to two
// messages.
func (b *Store) remake(ctx context.Context, g *guardedStream) error {
	if bucket, ok := strings.CutPrefix(g.want.Name, "OBJ_"); ok && bucket == conn.TilesBucket {
		return fmt.Errorf("bucket %s was removed with its contents; the receiver that seals rebuilds it from the records", bucket)
	} else if ok {
		return fmt.Errorf("bucket %s was removed with its contents: restore it from a backup; to continue without it, see docs/operations.md", bucket)
	}
	gone := b.opts.Log.Error().Str("stream", g.want.Name).Uint64("messages", g.state.Msgs).Uint64("last", g.state.LastSeq)
	cfg := g.want
	if g.state.LastSeq > 0 {
		cfg.FirstSeq = g.state.LastSeq + 1
	}
	if err := schema.HalfCopied(ctx, b.js, cfg.Name); err != nil {
		return err
	}
	if _, err := b.js.CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("stream %s was removed, and making it again failed: %w", g.want.Name, err)
	}
	gone.Msg("another client removed the stream and its messages; the receiver made it again")
	if b.server != nil {
		b.server.StageBatches()
	}
	return nil
}

// restoreWatches restores WATCH: every submission is delivered again to the replicas that start
// watches.
func (b *Store) restoreWatches(ctx context.Context) error {
	if err := b.Rewind(ctx, conn.JobsStream, durables.ReactConsumer); err != nil {
		return fmt.Errorf("stream %s was made again, but restoring its watches failed and is tried again: %w", conn.WatchStream, err)
	}
	b.opts.Log.Warn().Msg("stream WATCH was made again; the receiver restores the watches of unfinished jobs from JOBS")
	return nil
}
