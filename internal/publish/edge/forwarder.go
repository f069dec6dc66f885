// Package edge forwards what a local store holds to the streams of a hub, in order, each record
// once, and measures how far the hub is behind. It needs the connections to both, and no store.
//
// This package is frozen: faults are repaired, nothing is added, and only internal/service uses it.
// JetStream's sources were tried in its place, with nats-server 2.15.2: the hub sources the streams
// of an edge into a staging stream, and a receiver at the hub publishes from there. The rules of
// this package stay then, which are most of it, and these tests fail:
//
//   - TestStoreThatLostItsEnd, TestOldPositionExpiresNothing: a source ignores the sequences that
//     it has had. TestSourcingMissesWhatFollowsALostEnd shows that.
//   - TestOnlyTheForwarderCrossesTheLink of natsserver: the hub creates consumers at the edge. With
//     a durable one of the edge it resets it instead, and TestRestoredHubGetsMissingRecords fails:
//     the restored hub continues where the edge was acknowledged, some 2 seconds after sourcing.
//   - TestLargeBodyIsForwarded, TestTransferOfALargeBodyIsResumed: a message that is too large for
//     the hub closes the link, again and again. Bodies in the object store come by another source,
//     and a receiver cannot distinguish one that is late from one that is lost.
//   - TestLargeBodiesOnASlowLinkLong: a source that has no whole message for 10 seconds begins
//     again, and what was under way is sent twice.
//
// A sourced message does not name the time at which the edge stored it, by which this package
// distinguishes records. Try again if a source verifies its last message at the other side, accepts
// a position to continue from, and keeps times.
package edge

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
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// Forwarder sends what an edge has stored to its hub, in order. The hub's streams refuse what is
// sent twice, by the condition that holds everywhere: one event on a subject. A record whose event
// the hub has from another path becomes a conflict if its outcome differs, or an attempt, as if the
// hub had received it.
//
// Streams of the hub that source those of edges would not do this: the server removes the condition
// from sourced messages, and if a limit refuses a message, the source stops there.
//
// A record is at the hub before its position is written here, so it may be sent again after a
// crash; the hub recognizes it by its job.Edge. If the file with the position is lost, everything
// that this side still has is sent again, and nothing is stored twice.
type Forwarder struct {
	hub     conn.Endpoint
	opts    conn.Options // of the hub
	local   jetstream.JetStream
	uplink  func() uint64
	keep    time.Duration
	link    *link
	streams []*streamForwarder
}

// Options say what to forward, and where to.
type Options struct {
	// Local reaches the streams of the edge, and Folder is the folder of its store, which holds the
	// positions.
	Local  jetstream.JetStream
	Folder string
	// Name is the edge's name, and Store the public key of its store's owner: each record at the
	// hub names both.
	Name, Store string
	// Hub reaches the hub, through the edge's own server, and Domain is its JetStream domain.
	// Servers are the addresses of the hub, for the log.
	Hub     conn.Endpoint
	Domain  string
	Servers []string
	// Uplink returns a number of the connection to the hub that no earlier connection had; 0 if
	// there is none.
	Uplink func() uint64
	// Streams are the limits of streams that are created at the hub.
	Streams conn.Streams
	// Keep is how long events that the hub has are kept here. Default 90 days.
	Keep time.Duration
	// Log receives a message when the link goes down and when it is restored.
	Log zerolog.Logger
}

// New returns a Forwarder.
func New(ctx context.Context, o Options) (*Forwarder, error) {
	f := &Forwarder{
		hub: o.Hub, local: o.Local, uplink: o.Uplink, link: newLink(o.Log.With().Strs("hub", o.Servers).Logger()),
		keep: conn.Streams{JobsMaxAge: o.Keep}.WithDefaults().JobsMaxAge,
		opts: conn.Options{Streams: o.Streams, Domain: o.Domain, Log: o.Log}.WithDefaults(),
	}
	for _, from := range forwarded {
		asking, cancel := f.boundLocal(ctx)
		stream, err := o.Local.Stream(asking, from.stream)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, from.stream, err)
		}
		s := &streamForwarder{
			f: f, name: from.stream, from: stream, subject: from.subject, file: positionFile(o.Folder, from.stream),
			origin: job.Edge{Name: o.Name, Store: o.Store, Stream: from.stream}, uncertainTo: math.MaxUint64,
		}
		if s.at, err = readPosition(s.file); err != nil {
			o.Log.Warn().Err(err).Msg("reading the acknowledged position failed; all records are forwarded again")
		}
		f.streams = append(f.streams, s)
	}
	return f, nil
}

// forwarded are the forwarded streams, with the subject of all their messages.
var forwarded = []struct{ stream, subject string }{
	{conn.JobsStream, job.AllJobs}, {conn.AttemptsStream, job.AllAttempts},
}

// boundLocal bounds a request to the edge's own server.
func (f *Forwarder) boundLocal(ctx context.Context) (context.Context, context.CancelFunc) {
	return conn.Options{Timeout: f.local.Options().DefaultTimeout}.Bound(ctx)
}

// Run forwards until ctx is done. It retries for ever if the hub does not answer.
func (f *Forwarder) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if !f.checkLocal(ctx) {
		return
	}
	wg.Go(func() { f.expire(ctx) }) // which needs no hub: the position says what the hub has
	hub := f.open(ctx)
	if hub == nil {
		return
	}
	defer hub.js.Conn().Close()
	var streams sync.WaitGroup
	for _, s := range f.streams {
		streams.Go(func() { s.run(ctx, hub) })
	}
	streams.Wait()
}

// checkLocal verifies that the positions are those of this store, and returns false if ctx is done
// before that succeeds.
func (f *Forwarder) checkLocal(ctx context.Context) bool {
	for _, s := range f.streams {
		for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
			_, err := s.checkLocal(ctx)
			if err == nil {
				break
			}
			if ctx.Err() == nil {
				f.opts.Log.Warn().Err(err).Str("stream", s.name).Msg("starting to forward to the hub failed and is tried again")
			}
			if conn.Sleep(ctx, wait) != nil {
				return false
			}
		}
	}
	return true
}

// Retry delays if the hub does not answer, and intervals while there is nothing to forward.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
	idlePause  = 50 * time.Millisecond
	idleAsk    = 2 * time.Second
)

// everyStream stands for all streams, while the hub cannot be opened.
const everyStream = ""

// open returns the hub's streams, or nil when ctx is done.
func (f *Forwarder) open(ctx context.Context) *hub {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		opening, cancel := context.WithTimeout(ctx, f.opts.Timeout)
		hub, err := openHub(opening, f.hub, f.opts)
		cancel()
		if err == nil {
			f.link.up(everyStream)
			return hub
		}
		f.link.down(everyStream, err)
		if conn.Sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// streamForwarder forwards one stream.
type streamForwarder struct {
	f       *Forwarder
	name    string
	subject string // of everything in it
	from    jetstream.Stream
	hub     *hub
	origin  job.Edge // of its records, but for their position
	file    string

	mu      sync.Mutex // guards these against Link and Expire
	at      position
	checked bool // at is known to be a position in this store
	counts  counts

	uncertainTo uint64           // records up to this sequence may be at the hub although the position is behind them
	known       map[string]bool  // those that are, by ID, once they were searched for
	gaps        []gap            // in the last read, and not acknowledged
	lastSent    uint64           // the last record that was ever sent
	batchSize   int              // how many records go at once
	single      bool             // the hub takes no batches
	checks      map[string]check // when the known messages of a stream were last checked
	link        uint64           // the connection to the hub at that time
}

// bytesPerRecord is how many bytes are sent at once for each record of a batch. If a link is too
// slow for that, the batch size is halved, and halved again.
const bytesPerRecord = conn.MaxBatchBytes / conn.MaxBatch

// bound bounds one exchange with the hub about a body: a large one takes longer.
func (s *streamForwarder) bound(ctx context.Context, size int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.f.opts.Timeout+time.Duration(min(size, maxMessage))*time.Second/conn.SlowLine)
}

// singleBody is the size of the body of a single record; 0 for several records, which get no longer
// timeout: fewer are sent the next time.
func singleBody(records []*record) int {
	if len(records) != 1 {
		return 0
	}
	return len(records[0].raw.Data)
}

// counts are numbers of records since the start.
type counts struct{ sent, repeated, dropped uint64 }

// errLocal is wrapped by errors of this side, which do not concern the link.
var errLocal = errors.New("reading the records to forward")

func (s *streamForwarder) run(ctx context.Context, hub *hub) {
	s.checks = map[string]check{}
	s.hub, s.batchSize, s.single = hub, conn.MaxBatch, !hub.jobs.CachedInfo().Config.AllowAtomicPublish
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRetry) {
		before := s.position()
		err := s.forward(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errLocal) {
			s.f.opts.Log.Warn().Err(err).Str("stream", s.name).Msg("forwarding to the hub failed and is tried again")
		} else {
			s.f.link.down(s.name, err)
		}
		s.uncertainTo, s.known = max(s.uncertainTo, s.lastSent), nil
		if s.position().Sequence > before.Sequence {
			wait = firstRetry
		}
		if conn.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// forward forwards until an error occurs.
func (s *streamForwarder) forward(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	asked := time.Now()
	for {
		records, err := s.read(ctx)
		switch {
		case err != nil:
			return err
		case len(records) > 0:
			if err := s.send(ctx, records); err != nil {
				s.batchSize = max(min(s.batchSize, len(records))/2, 1)
				return err
			}
			asked, s.batchSize = time.Now(), min(2*s.batchSize, conn.MaxBatch)
			s.f.link.up(s.name)
		case time.Since(asked) > idleAsk:
			if err := s.check(ctx); err != nil {
				return err
			}
			asked = time.Now()
		default:
			s.f.link.up(s.name)
			if err := conn.Sleep(ctx, idlePause); err != nil {
				return err
			}
		}
	}
}

// check asks the hub for the stream with this name, and creates it if it is missing.
func (s *streamForwarder) check(ctx context.Context) error {
	last, err := s.checkLocal(ctx)
	if err != nil {
		return err
	}
	if link := s.f.uplink(); link != s.link { // it may lead to a hub that was restored to an earlier state
		s.link, s.checks = link, map[string]check{}
	}
	asking, cancel := s.hub.bound(ctx)
	defer cancel()
	stream, err := s.hub.js.Stream(asking, s.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = s.hub.ensure(asking, s.name)
	}
	if err != nil {
		return fmt.Errorf("%w: asking the hub for stream %s: %v", conn.ErrUnavailable, s.name, err)
	}
	created := stream.CachedInfo().Created
	same := s.position().Sequence == 0 || created.Equal(s.position().Created)
	if same {
		if same, err = s.checkHub(ctx, stream.CachedInfo().State); err != nil {
			return err
		}
	}
	if !same {
		s.f.opts.Log.Warn().Str("stream", s.name).
			Msg("the stream of the hub was replaced or restored; all records stored here are forwarded again")
		s.restart()
	}
	s.set(func(at *position) { at.Created = created })
	s.uncertainTo = min(s.uncertainTo, last) // later records were never sent
	return nil
}

// checkLocal restarts from the first record if the position is not one of this store, because the
// store lost its newest messages with the power or was restored to an earlier state. It returns the
// store's last sequence.
func (s *streamForwarder) checkLocal(ctx context.Context) (last uint64, err error) {
	at := s.position()
	ctx, cancel := s.f.boundLocal(ctx)
	defer cancel()
	if last, err = lastSequence(ctx, s.f.local, s.name); err != nil {
		return 0, fmt.Errorf("%w: %w", errLocal, err)
	}
	same := last >= at.Sequence
	if same && at.Sequence > 0 {
		raw, err := reader.FirstOf(ctx, s.f.local, s.from, at.Sequence, s.subject)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errLocal, err)
		}
		if raw != nil && raw.Sequence == at.Sequence { // it may be too old to be kept
			same = raw.Time.Equal(at.Stored)
		}
	}
	if !same {
		s.f.opts.Log.Warn().Str("stream", s.name).Uint64("sequence", at.Sequence).
			Msg("the store was restored or lost its newest records; all records are forwarded again")
		s.restart()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked = true
	return last, nil
}

// restart goes back to the first record that is stored. The hub recognizes those that it has.
func (s *streamForwarder) restart() {
	s.set(func(at *position) { *at = position{} })
	s.uncertainTo, s.known = math.MaxUint64, nil
}
