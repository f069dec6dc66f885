package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// guardTick is how often the streams of a cluster are looked at; those of a server in this
// process are when its store is.
const guardTick = time.Second

// guarded is what was last seen of a stream.
type guarded struct {
	want    jetstream.StreamConfig
	later   bool // it is made by whoever needs it first
	seen    bool
	made    time.Time
	state   jetstream.StreamState
	odd     int   // looks in a row in which it was not there, or shorter than before
	trouble error // nil if it is as it must be
}

// trouble is why the streams are not as they must be.
type trouble struct {
	err   error // nil if all is well
	stops bool  // nothing is stored meanwhile
}

// Guard looks after the streams until ctx is done. A stream that somebody removed is made
// again, with the sequences that come next, unless that would lose something: without JOBS it
// is not known which jobs have ended. What memory remembers of JOBS is dropped when messages
// were removed there by anything but their age. What is amiss is returned by Ready.
func (b *Bus) Guard(ctx context.Context) {
	every := guardTick
	if b.server != nil {
		every = roomTick
	}
	all := b.toGuard()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if b.server == nil || b.server.Room().State == StateOK {
				b.guard(ctx, all)
			}
		}
	}
}

// toGuard returns the streams to look after.
func (b *Bus) toGuard() (all []*guarded) {
	for _, want := range b.opts.Streams.desired() {
		all = append(all, &guarded{want: want})
	}
	return append(all, &guarded{want: b.opts.Streams.checkpoints(), later: true},
		&guarded{want: jetstream.StreamConfig{Name: objectsOfPayloads}, later: true},
		&guarded{want: jetstream.StreamConfig{Name: objectsOfTiles}, later: true})
}

// guard looks at all of them once.
func (b *Bus) guard(ctx context.Context, all []*guarded) {
	var now trouble
	for _, g := range all {
		if ctx.Err() != nil {
			return
		}
		b.watchOver(ctx, g)
		if g.trouble != nil {
			now.err = errors.Join(now.err, g.trouble)
			now.stops = now.stops || g.want.Name == JobsStream
		}
	}
	now.err = errors.Join(now.err, b.guardDurables(ctx))
	was := b.amiss.Swap(&now)
	switch {
	case now.err != nil && (was.err == nil || was.err.Error() != now.err.Error()):
		b.opts.Log.Error().Err(now.err).Str("state", string(StateStream)).Bool("refused", now.stops).Msg("a stream is not as it must be")
	case now.err == nil && was.err != nil:
		b.opts.Log.Info().Msg("the streams are as they must be again")
	}
}

// watchOver looks at one stream. One that cannot be asked for is as it was.
func (b *Bus) watchOver(ctx context.Context, g *guarded) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, g.want.Name)
	switch {
	case err == nil && g.want.Name == JobsStream:
		b.compareJobs(g, s.CachedInfo())
	case err == nil:
		b.compareOther(ctx, g, s.CachedInfo())
	case ctx.Err() != nil || !errors.Is(err, jetstream.ErrStreamNotFound) || g.later && !g.seen:
	case g.want.Name == JobsStream:
		g.trouble = fmt.Errorf("stream %s was removed: which jobs have ended is not known any more, so no callback is accepted; "+
			"restore it from a backup, or %s to begin anew", JobsStream, b.goOn())
	case g.odd == 0:
		g.odd++ // the next look decides
	default:
		g.trouble = b.remake(ctx, g)
	}
}

// goOn is what an operator does who has no backup of JOBS. An embedded store that lost it does
// not start without a word.
func (b *Bus) goOn() string {
	if b.server == nil {
		return "restart the receiver"
	}
	return "stop the receiver and say `receiver streams mend --accept-loss`"
}

// compareJobs takes over what JOBS is like now.
func (b *Bus) compareJobs(g *guarded, info *jetstream.StreamInfo) {
	now, was := info.State, g.state
	if g.seen && now.LastSeq < was.LastSeq {
		// A server that leads since a moment may not have all yet.
		if g.odd++; b.server == nil && g.odd < 3 {
			return
		}
		b.forget()
		g.trouble = fmt.Errorf("stream %s ends at sequence %d, though it reached %d: it was made anew, or is an older copy, so no callback is accepted; "+
			"restore it from a backup, or %s to go on with it", JobsStream, now.LastSeq, was.LastSeq, b.goOn())
		return
	}
	if g.seen && (!g.made.Equal(info.Created) || holes(now) > holes(was) || b.early(was, info)) {
		b.opts.Log.Warn().Str("stream", JobsStream).Uint64("messages", now.Msgs).Uint64("first", now.FirstSeq).
			Msg("messages were removed by somebody; what memory has of the stream is dropped")
		b.forget()
	}
	b.recent.begin(now.FirstSeq)
	g.trouble = breaking(g.want, info.Config)
	g.seen, g.made, g.state, g.odd = true, info.Created, now, 0
}

// holes is how many messages are missing between the first and the last.
func holes(s jetstream.StreamState) uint64 { return s.LastSeq + 1 - s.FirstSeq - s.Msgs }

// early reports whether the first message that was there has gone before its time.
func (b *Bus) early(was jetstream.StreamState, info *jetstream.StreamInfo) bool {
	age, now := info.Config.MaxAge, time.Now()
	if b.opts.Streams.Forwarded {
		age = b.opts.Streams.withDefaults().JobsMaxAge
	}
	if !info.TimeStamp.IsZero() {
		now = info.TimeStamp // by the clock that the first has its time from
	}
	return was.Msgs > 0 && info.State.FirstSeq > was.FirstSeq && (age == 0 || was.FirstTime.Add(age).After(now))
}

// forget drops what is known of JOBS without asking.
func (b *Bus) forget() {
	b.recent.forget()
	b.feed.change()
}

// compareOther takes over what a stream other than JOBS is like now.
func (b *Bus) compareOther(ctx context.Context, g *guarded, info *jetstream.StreamInfo) {
	g.trouble = nil
	if !g.later {
		g.trouble = breaking(g.want, info.Config)
	}
	if g.seen && !g.made.Equal(info.Created) && g.want.Name == WatchStream {
		g.trouble = errors.Join(g.trouble, b.rewatch(ctx))
	}
	g.seen, g.made, g.state, g.odd = true, info.Created, info.State, 0
}

// remake makes a stream again that was removed. Its sequences go on, so that none stands for
// two messages.
func (b *Bus) remake(ctx context.Context, g *guarded) error {
	if bucket, ok := strings.CutPrefix(g.want.Name, "OBJ_"); ok {
		return fmt.Errorf("bucket %s was removed, and what it held with it: restore it from a backup; docs/operations.md says how to go on without it", bucket)
	}
	gone := b.opts.Log.Error().Str("stream", g.want.Name).Uint64("messages", g.state.Msgs).Uint64("last", g.state.LastSeq)
	cfg := g.want
	if g.state.LastSeq > 0 {
		cfg.FirstSeq = g.state.LastSeq + 1
	}
	if err := b.halfCopied(ctx, cfg.Name); err != nil {
		return err
	}
	if _, err := b.js.CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("stream %s was removed, and making it again fails: %w", g.want.Name, err)
	}
	gone.Msg("the stream was removed by somebody, with what it held; made again")
	if b.server != nil {
		b.server.stage()
	}
	return nil
}

// rewatch fills WATCH again: every submission is handed out once more, to whoever begins the
// watches.
func (b *Bus) rewatch(ctx context.Context) error {
	b.letGo(ReactConsumer) // whoever uses it makes it again
	if err := b.js.DeleteConsumer(ctx, JobsStream, ReactConsumer); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("stream %s was made anew, and beginning its watches again fails: %w; restart the receiver", WatchStream, err)
	}
	b.opts.Log.Warn().Msg("stream WATCH was made anew; the watches of unfinished jobs are begun again from JOBS")
	return nil
}

// breaking is an error if a stream cannot keep our promises.
func breaking(want, have jetstream.StreamConfig) error {
	var broken []difference
	for _, d := range compare(want, have) {
		if d.breaks {
			broken = append(broken, d)
		}
	}
	if broken == nil {
		return nil
	}
	return fmt.Errorf("stream %s: %w: %v; see `receiver streams plan`, or give the receiver an account of its own", want.Name, ErrStream, broken)
}
