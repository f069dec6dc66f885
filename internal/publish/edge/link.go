package edge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// Link is the state of an edge's link to its hub.
type Link struct {
	// Up is true while the hub answers and takes the records of every stream, and Since is the time
	// of the last change.
	Up    bool
	Since time.Time
	// Streams are the forwarded streams.
	Streams []Lag
}

// Lag is how far the hub is behind this side in one stream.
type Lag struct {
	Stream string
	// Position is the last record here that the hub has acknowledged.
	Position uint64
	// Behind is how many records the hub does not have yet, and Oldest is when the first of them
	// was stored here; zero if there is none.
	Behind uint64
	Oldest time.Time
	// Since the start: records that the hub stored, those that it had from another path, and those
	// that were removed here before it had them.
	Sent, Repeated, Missed uint64
}

// Link returns the current state. The error is ErrUnavailable, about this side.
func (f *Forwarder) Link(ctx context.Context) (Link, error) {
	l := f.link.state()
	for _, s := range f.streams {
		lag, err := s.lag(ctx)
		if err != nil {
			return l, err
		}
		l.Streams = append(l.Streams, lag)
	}
	return l, nil
}

func (s *streamForwarder) lag(ctx context.Context) (Lag, error) {
	s.mu.Lock()
	at, c := s.at, s.counts
	s.mu.Unlock()
	lag := Lag{Stream: s.name, Position: at.Sequence, Sent: c.sent, Repeated: c.repeated, Missed: c.dropped}
	ctx, cancel := s.f.boundLocal(ctx)
	defer cancel()
	if err := lag.measure(ctx, s.f.local, s.from, s.subject, at.Sequence); err != nil {
		return lag, fmt.Errorf("%w: counting the records of %s that are not at the hub: %v", conn.ErrUnavailable, s.name, err)
	}
	return lag, nil
}

// measure counts the records behind a position.
func (g *Lag) measure(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, subject string, at uint64) error {
	info, err := stream.Info(ctx)
	if err != nil || info.State.LastSeq <= at {
		return err
	}
	first, err := reader.FirstOf(ctx, js, stream, at+1, subject)
	if first == nil || err != nil { // none: it has been forwarded and removed since
		return err
	}
	g.Behind, g.Oldest = info.State.LastSeq-first.Sequence+1, first.Time
	return nil
}

// link logs once when a stream does not reach the hub, and once when all do again.
type link struct {
	log     zerolog.Logger
	mu      sync.Mutex
	status  Link
	logged  bool            // of how it is
	wasUp   bool            // up before
	failing map[string]bool // streams whose last attempt failed
}

// linkGrace is how long the first connection may take.
const linkGrace = 3 * time.Second

func newLink(log zerolog.Logger) *link {
	return &link{log: log, status: Link{Since: time.Now()}, failing: map[string]bool{}}
}

func (l *link) state() Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// up is called when the hub has taken everything of a stream. The link stays down while the hub
// refuses the other stream.
func (l *link) up(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failing, stream)
	if l.status.Up || len(l.failing) > 0 {
		return
	}
	l.log.Info().Dur("down", time.Since(l.status.Since)).Msg("the link to the hub is up; waiting records are forwarded in order")
	l.status, l.logged, l.wasUp = Link{Up: true, Since: time.Now()}, true, true
}

// down is called with the error of a stream.
func (l *link) down(stream string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing[stream] = true
	if !l.status.Up && (l.logged || !l.wasUp && time.Since(l.status.Since) < linkGrace) {
		return
	}
	if l.status.Up {
		l.status = Link{Since: time.Now()}
	}
	l.logged = true
	l.log.Warn().Err(err).Msg("the link to the hub is down; callbacks are still stored here")
}
