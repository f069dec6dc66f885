package publish

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/job"
)

// Forwarder brings what an edge has stored to the hub of its server, in order. The hub's
// streams settle what is told twice, by the condition that holds everywhere: one event on
// a subject. What is there already by another way becomes a conflict if it tells another
// end, or an attempt, as if the hub had received it.
//
// Streams of the hub that source those of edges would not: the server takes the condition
// off what is sourced, and where a limit refuses a message, nothing comes after it.
//
// A record is at the hub before its place is written down here, so it may be offered again
// after a crash and is known by its job.Edge. The file with the place may be lost: then
// everything that this side still has is offered again, and nothing is doubled.
type Forwarder struct {
	server *Server
	local  *Bus
	opts   Options // of the hub
	keep   time.Duration
	line   *line
	lanes  []*lane
}

// ForwarderOptions say how to forward.
type ForwarderOptions struct {
	// Hub are the limits by which streams are made that the hub does not have.
	Hub Streams
	// Keep is how long events stay here that the hub has. Default 90 days.
	Keep time.Duration
	// Timeout bounds one question to the hub. Default 5 s.
	Timeout time.Duration
	// Log is told when the line is cut and when it is restored.
	Log zerolog.Logger
}

// Forwarder returns what forwards from local, which Open returned; the server must have
// been started with an Edge.
func (s *Server) Forwarder(local *Bus, o ForwarderOptions) (*Forwarder, error) {
	store, err := s.owner.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("reading the owner's key: %w", err)
	}
	f := &Forwarder{
		server: s, local: local, line: newLine(o.Log.With().Strs("hub", s.e.Edge.Hub.redacted()).Logger()), keep: Streams{JobsMaxAge: o.Keep}.withDefaults().JobsMaxAge,
		opts: Options{Streams: o.Hub, Timeout: o.Timeout, Log: o.Log}.withDefaults(),
	}
	for _, from := range []struct {
		stream  jetstream.Stream
		name    string
		subject string
	}{{local.jobs, JobsStream, "jobs.>"}, {local.attempts, AttemptsStream, "attempts.>"}} {
		l := &lane{
			f: f, name: from.name, from: from.stream, subject: from.subject, file: reachedFile(s.e.Folder, from.name),
			origin: job.Edge{Name: s.e.Edge.Name, Store: store, Stream: from.name}, unsureTo: math.MaxUint64,
		}
		if l.at, err = readReached(l.file); err != nil {
			o.Log.Warn().Err(err).Msg("the place up to which the hub has everything is not known; everything is offered again")
		}
		f.lanes = append(f.lanes, l)
	}
	return f, nil
}

// Run forwards until ctx is done. A hub that does not answer is asked again for ever.
func (f *Forwarder) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if !f.checkHere(ctx) {
		return
	}
	wg.Go(func() { f.expire(ctx) }) // which needs no hub: its place tells what the hub has
	hub := f.open(ctx)
	if hub == nil {
		return
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRetry)
		defer cancel()
		if err := hub.Close(closing); err != nil {
			f.opts.Log.Debug().Err(err).Msg("closing the line to the hub")
		}
	}()
	var lanes sync.WaitGroup
	for _, l := range f.lanes {
		lanes.Go(func() { l.run(ctx, hub) })
	}
	lanes.Wait()
}

// checkHere makes sure that the places are those of this store, and returns false if ctx is
// done before it could be asked.
func (f *Forwarder) checkHere(ctx context.Context) bool {
	for _, l := range f.lanes {
		for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
			_, err := l.checkHere(ctx)
			if err == nil {
				break
			}
			if ctx.Err() == nil {
				f.opts.Log.Warn().Err(err).Str("stream", l.name).Msg("forwarding to the hub cannot begin; it is tried again")
			}
			if pause(ctx, wait) != nil {
				return false
			}
		}
	}
	return true
}

// How a hub that does not answer is asked again, and how often one that has nothing to do.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
	idlePause  = 50 * time.Millisecond
	idleAsk    = 2 * time.Second
)

// everyStream stands for all, while the hub cannot be opened.
const everyStream = ""

// open returns the hub's streams, or nil when ctx is done.
func (f *Forwarder) open(ctx context.Context) *Bus {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		opening, cancel := context.WithTimeout(ctx, f.opts.Timeout)
		hub, err := f.server.openHub(opening, f.opts)
		cancel()
		if err == nil {
			f.line.up(everyStream)
			return hub
		}
		f.line.down(everyStream, err)
		if pause(ctx, wait) != nil {
			return nil
		}
	}
}

// lane forwards one stream.
type lane struct {
	f       *Forwarder
	name    string
	subject string // of everything in it
	from    jetstream.Stream
	hub     *Bus
	origin  job.Edge // of its records, but for their place
	file    string

	mu      sync.Mutex // guards these against Line and Expire
	at      reached
	checked bool // at is known to be a place in this store
	counts  counts

	unsureTo uint64           // records up to this sequence may be at the hub though at does not tell of them
	there    map[string]bool  // those that are, by ID, once they were looked for
	gaps     []gap            // in what was read last, and is not settled
	tried    uint64           // the last record that was ever sent
	width    int              // how many records go at once
	single   bool             // the hub takes no batches
	looked   map[string]sight // when the hub was last asked for what is known to stand in a stream
	line     uint64           // the connection to the hub at that time
}

// recordRoom is how many bytes go at once for each record that may. A line that is too slow
// for as much as that is given half, and half again.
const recordRoom = maxBatchBytes / maxBatch

// bound bounds one exchange with the hub about a body: a large one is longer on its way.
func (l *lane) bound(ctx context.Context, size int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, l.f.opts.Timeout+time.Duration(min(size, hubPayload))*time.Second/slowLine)
}

// alone is the size of the body of a single record. Of several, none is waited for longer:
// fewer are sent the next time.
func alone(records []*record) int {
	if len(records) != 1 {
		return 0
	}
	return len(records[0].raw.Data)
}

// counts are what became of the records since the start.
type counts struct{ sent, repeated, missed uint64 }

// errHere is wrapped by what is wrong on this side, and says nothing of the line.
var errHere = errors.New("reading what is to be forwarded")

func (l *lane) run(ctx context.Context, hub *Bus) {
	l.looked = map[string]sight{}
	l.hub, l.width, l.single = hub, maxBatch, !hub.jobs.CachedInfo().Config.AllowAtomicPublish
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRetry) {
		before := l.reached()
		err := l.pass(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errHere) {
			l.f.opts.Log.Warn().Err(err).Str("stream", l.name).Msg("forwarding to the hub is interrupted; it is tried again")
		} else {
			l.f.line.down(l.name, err)
		}
		l.unsureTo, l.there = max(l.unsureTo, l.tried), nil
		if l.reached().Sequence > before.Sequence {
			wait = firstRetry
		}
		if pause(ctx, wait) != nil {
			return
		}
	}
}

// pass forwards until something fails.
func (l *lane) pass(ctx context.Context) error {
	if err := l.check(ctx); err != nil {
		return err
	}
	asked := time.Now()
	for {
		records, err := l.read(ctx)
		switch {
		case err != nil:
			return err
		case len(records) > 0:
			if err := l.send(ctx, records); err != nil {
				l.width = max(min(l.width, len(records))/2, 1)
				return err
			}
			asked, l.width = time.Now(), min(2*l.width, maxBatch)
			l.f.line.up(l.name)
		case time.Since(asked) > idleAsk:
			if err := l.check(ctx); err != nil {
				return err
			}
			asked = time.Now()
		default:
			l.f.line.up(l.name)
			if err := pause(ctx, idlePause); err != nil {
				return err
			}
		}
	}
}

// check asks the hub for the stream that this one goes to, making it if it is missing.
func (l *lane) check(ctx context.Context) error {
	last, err := l.checkHere(ctx)
	if err != nil {
		return err
	}
	if line := l.f.server.uplink(); line != l.line { // it may lead to a hub that was put back
		l.line, l.looked = line, map[string]sight{}
	}
	asking, cancel := l.hub.bound(ctx)
	defer cancel()
	stream, err := l.hub.js.Stream(asking, l.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		for _, want := range l.hub.opts.Streams.desired() {
			if want.Name == l.name {
				stream, err = l.hub.ensureStream(asking, want)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%w: asking the hub for stream %s: %v", ErrUnavailable, l.name, err)
	}
	created := stream.CachedInfo().Created
	same := l.reached().Sequence == 0 || created.Equal(l.reached().Created)
	if same {
		if same, err = l.has(ctx, stream.CachedInfo().State); err != nil {
			return err
		}
	}
	if !same {
		l.f.opts.Log.Warn().Str("stream", l.name).
			Msg("the hub's stream is another one than before, or was put back: everything that is still here is offered to it")
		l.restart()
	}
	l.set(func(at *reached) { at.Created = created })
	l.unsureTo = min(l.unsureTo, last) // what comes from now on was never sent
	return nil
}

// checkHere begins anew if the store is not the one that the place tells of: it lost its
// end with the power, or was put back to an earlier state. It returns the store's last
// sequence.
func (l *lane) checkHere(ctx context.Context) (last uint64, err error) {
	at := l.reached()
	ctx, cancel := l.f.local.bound(ctx)
	defer cancel()
	if last, err = l.f.local.LastSequence(ctx, l.name); err != nil {
		return 0, fmt.Errorf("%w: %w", errHere, err)
	}
	same := last >= at.Sequence
	if same && at.Sequence > 0 {
		raw, err := firstOf(ctx, l.f.local.js, l.from, at.Sequence, l.subject)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errHere, err)
		}
		if raw != nil && raw.Sequence == at.Sequence { // it may be too old to be kept
			same = raw.Time.Equal(at.Stored)
		}
	}
	if !same {
		l.f.opts.Log.Warn().Str("stream", l.name).Uint64("sequence", at.Sequence).
			Msg("the store is not as the hub knows it: everything in it is offered again")
		l.restart()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checked = true
	return last, nil
}

// restart goes back to the first record there is. Those that the hub has are known there.
func (l *lane) restart() {
	l.set(func(at *reached) { *at = reached{} })
	l.unsureTo, l.there = math.MaxUint64, nil
}
