package edge

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// record is one message of this side that is forwarded to the hub.
type record struct {
	raw    *jetstream.RawStreamMsg
	origin job.Edge
	msg    *nats.Msg // as it goes there
	kind   job.Kind  // of an event that is unique by its subject or id; else empty
	object string    // the body's name in the hub's object store; empty if it has none there
}

// read returns the next records, as many as a batch may hold; none if there are none yet.
func (s *streamForwarder) read(ctx context.Context) ([]*record, error) {
	var all []*record
	size := 0
	s.gaps = nil
	at := s.position().Sequence
	for next := at + 1; len(all) < s.batchSize && size < s.batchSize*bytesPerRecord; {
		asking, cancel := s.f.boundLocal(ctx)
		raw, err := reader.FirstOf(asking, s.f.local, s.from, next, s.subject)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%w: %s from %d on: %w", errLocal, s.name, next, err)
		}
		if raw == nil {
			break
		}
		if at > 0 && raw.Sequence > next {
			s.gaps = append(s.gaps, gap{next, raw.Sequence})
		}
		all = append(all, s.record(raw))
		size += len(raw.Data)
		next = raw.Sequence + 1
	}
	return all, nil
}

// gap are records that were removed here before the hub had them: attempts, whose stream is bounded
// by its size.
type gap struct{ from, to uint64 } // to is the record behind it

// countDropped counts the records in gaps before a record that is acknowledged now. Gaps behind it
// are counted later.
func (s *streamForwarder) countDropped(acknowledged uint64) {
	for len(s.gaps) > 0 && s.gaps[0].to <= acknowledged {
		g := s.gaps[0]
		s.gaps = s.gaps[1:]
		s.count(func(c *counts) { c.dropped += g.to - g.from })
		s.f.opts.Log.Warn().Str("stream", s.name).Uint64("first", g.from).Uint64("records", g.to-g.from).
			Msg("the edge dropped records before it had forwarded them")
	}
}

// record makes the message for the hub: the same subject, headers and body, and its origin. The
// server's own headers are left out.
func (s *streamForwarder) record(raw *jetstream.RawStreamMsg) *record {
	r := &record{raw: raw, origin: s.origin}
	r.origin.Sequence, r.origin.Stored = raw.Sequence, raw.Time
	header := make(nats.Header, len(raw.Header)+4)
	maps.Copy(header, raw.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, job.ServerPrefix) })
	r.origin.Mark(header)
	r.msg = &nats.Msg{Subject: raw.Subject, Header: header, Data: raw.Data}
	if s.name == conn.JobsStream {
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
