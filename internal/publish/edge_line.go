package publish

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Line is how an edge stands to its hub.
type Line struct {
	// Up is true while the hub answers and takes what every stream brings, and Since is from
	// when on it does, or does not.
	Up    bool
	Since time.Time
	// Streams are those that are forwarded.
	Streams []Lag
}

// Lag is how far the hub is behind this side in one stream.
type Lag struct {
	Stream string
	// Behind is how many records the hub does not have yet, and Oldest when the first of
	// them was stored here; zero if there is none.
	Behind uint64
	Oldest time.Time
	// Since the start: records that the hub stored, those that it had by another way, and
	// those that went from this side before it had them.
	Sent, Repeated, Missed uint64
}

// Line returns how it stands now. Its error is ErrUnavailable, about this side.
func (f *Forwarder) Line(ctx context.Context) (Line, error) {
	l := f.line.state()
	for _, lane := range f.lanes {
		lag, err := lane.lag(ctx)
		if err != nil {
			return l, err
		}
		l.Streams = append(l.Streams, lag)
	}
	return l, nil
}

func (l *lane) lag(ctx context.Context) (Lag, error) {
	l.mu.Lock()
	at, c := l.at, l.counts
	l.mu.Unlock()
	lag := Lag{Stream: l.name, Sent: c.sent, Repeated: c.repeated, Missed: c.missed}
	ctx, cancel := l.f.local.bound(ctx)
	defer cancel()
	if err := lag.measure(ctx, l.f.local.js, l.from, l.subject, at.Sequence); err != nil {
		return lag, fmt.Errorf("%w: how far the hub is behind in %s: %v", ErrUnavailable, l.name, err)
	}
	return lag, nil
}

// measure counts what comes after a place.
func (g *Lag) measure(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, subject string, at uint64) error {
	info, err := stream.Info(ctx)
	if err != nil || info.State.LastSeq <= at {
		return err
	}
	first, err := firstOf(ctx, js, stream, at+1, subject)
	if first == nil || err != nil { // none: it has been forwarded and removed since
		return err
	}
	g.Behind, g.Oldest = info.State.LastSeq-first.Sequence+1, first.Time
	return nil
}

// line tells once when something does not reach the hub, and once when all does again.
type line struct {
	log     zerolog.Logger
	mu      sync.Mutex
	is      Line
	told    bool            // of how it is
	was     bool            // up before
	failing map[string]bool // streams whose last attempt failed
}

// lineGrace is how long the line may take to be there for the first time.
const lineGrace = 3 * time.Second

func newLine(log zerolog.Logger) *line {
	return &line{log: log, is: Line{Since: time.Now()}, failing: map[string]bool{}}
}

func (l *line) state() Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.is
}

// up is told when a stream has nothing that the hub did not take. One that the hub refuses,
// while it takes the other, keeps the line down.
func (l *line) up(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failing, stream)
	if l.is.Up || len(l.failing) > 0 {
		return
	}
	l.log.Info().Dur("down", time.Since(l.is.Since)).Msg("the line to the hub is up; what waits here is forwarded in order")
	l.is, l.told, l.was = Line{Up: true, Since: time.Now()}, true, true
}

// down is told why.
func (l *line) down(stream string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing[stream] = true
	if !l.is.Up && (l.told || !l.was && time.Since(l.is.Since) < lineGrace) {
		return
	}
	if l.is.Up {
		l.is = Line{Since: time.Now()}
	}
	l.told = true
	l.log.Warn().Err(err).Msg("nothing reaches the hub; callbacks go on being stored here")
}
