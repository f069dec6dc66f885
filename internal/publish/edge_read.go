package publish

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// record is one message of this side that goes to the hub.
type record struct {
	raw    *jetstream.RawStreamMsg
	origin job.Edge
	msg    *nats.Msg // as it goes there
	kind   job.Kind  // of an event that is unique by its subject or id; else empty
	object string    // the body's name in the hub's object store; empty if it has none there
}

// read returns the records that come next, as many as a batch may hold; none if there are
// none yet.
func (l *lane) read(ctx context.Context) ([]*record, error) {
	var all []*record
	size := 0
	l.gaps = nil
	at := l.reached().Sequence
	for next := at + 1; len(all) < l.width && size < l.width*recordRoom; {
		asking, cancel := l.f.local.bound(ctx)
		raw, err := firstOf(asking, l.f.local.js, l.from, next, l.subject)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%w: %s from %d on: %w", errHere, l.name, next, err)
		}
		if raw == nil {
			break
		}
		if at > 0 && raw.Sequence > next {
			l.gaps = append(l.gaps, gap{next, raw.Sequence})
		}
		all = append(all, l.record(raw))
		size += len(raw.Data)
		next = raw.Sequence + 1
	}
	return all, nil
}

// gap are records that have gone from this side before the hub had them: attempts, whose
// stream is bounded by its size.
type gap struct{ from, to uint64 } // to is the record behind it

// miss counts what has gone before a record that is settled now. While it is tried again,
// nothing more is lost.
func (l *lane) miss(settled uint64) {
	for len(l.gaps) > 0 && l.gaps[0].to <= settled {
		g := l.gaps[0]
		l.gaps = l.gaps[1:]
		l.count(func(c *counts) { c.missed += g.to - g.from })
		l.f.opts.Log.Warn().Str("stream", l.name).Uint64("from", g.from).Uint64("records", g.to-g.from).
			Msg("records were dropped here before the hub had them")
	}
}

// record makes what goes to the hub of a message: the same subject, headers and body, and
// where it is from. The server's own headers belong to this side.
func (l *lane) record(raw *jetstream.RawStreamMsg) *record {
	r := &record{raw: raw, origin: l.origin}
	r.origin.Sequence, r.origin.Stored = raw.Sequence, raw.Time
	header := make(nats.Header, len(raw.Header)+4)
	maps.Copy(header, raw.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") })
	r.origin.Mark(header)
	r.msg = &nats.Msg{Subject: raw.Subject, Header: header, Data: raw.Data}
	if l.name == JobsStream {
		if _, id, kind, err := job.ParseSubject(raw.Subject); err == nil && id != "" {
			r.kind = kind
		}
	}
	return r
}

// at is the record's message at the hub.
func (r *record) at(sequence uint64) seen { return seen{sequence, r.origin.ID()} }

// ours reports whether a message of the hub was made of this record.
func (r *record) ours(m *jetstream.RawStreamMsg) bool {
	e, marked, err := job.ParseEdge(m.Header)
	return err == nil && marked && e.ID() == r.origin.ID()
}
