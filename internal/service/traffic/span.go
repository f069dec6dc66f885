package traffic

import (
	"context"
	"time"

	"receiver/internal/publish"
)

// span is what was counted of one stream: all messages from the sequence low up to the one before
// high.
type span struct {
	stream    string
	counts    tally
	low, high uint64
	created   time.Time // of the stream
	began     time.Time // when nothing was counted yet
	oldest    time.Time // when the message at low was stored; zero if none was counted
	extent    publish.Extent
}

// The most that is counted of one stream, and in one go: as many messages, of as many bytes on the
// average. A longer gap before the newest message is read from its end on.
const (
	mostMessages, mostBytes = 1 << 20, 2 << 30
	partMessages, partBytes = 1 << 14, 32 << 20
	mostGap                 = 1 << 16
)

// within bounds a number of messages by their bytes.
func within(e publish.Extent, messages, bytes uint64) uint64 {
	average := max(e.Bytes/max(e.Messages, 1), 1)
	return max(min(messages, bytes/average), 1)
}

// reach notes what the stream holds now. A stream that is not the one that was counted, or of which
// too much came since, is counted anew.
func (s *span) reach(e publish.Extent, now time.Time) {
	s.extent = e
	if s.began.IsZero() || !e.Created.Equal(s.created) || e.Last+1 < s.high || e.Last+1-s.high > within(e, mostGap, partBytes*4) {
		*s = span{stream: s.stream, counts: newTally(), low: e.Last + 1, high: e.Last + 1, created: e.Created, began: now, extent: e}
	}
}

// from returns the time from which on the counts are whole. Nothing says when the messages came
// of a stream that has lost them all.
func (s *span) from() time.Time {
	switch {
	case s.low <= 1:
		return time.Time{}
	case s.oldest.IsZero():
		return s.began
	}
	return s.oldest
}

// further reports whether older messages can be counted.
func (s *span) further() bool {
	return s.low > max(s.extent.First, 1) && s.high-s.low < within(s.extent, mostMessages, mostBytes)
}

// part are messages that were read and are to be counted.
type part struct {
	from, to uint64
	arrivals []arrival
	oldest   time.Time
}

// read reads the headers of messages.
func (s *span) read(ctx context.Context, bus *publish.Store, from, to uint64) (part, error) {
	p := part{from: from, to: to}
	err := bus.Lines(ctx, s.stream, from, to, func(m publish.Message) error {
		if p.oldest.IsZero() {
			p.oldest = m.Time
		}
		if a, ok := s.counts.read(m.Subject, m.Field, m.Time); ok {
			p.arrivals = append(p.arrivals, a)
		}
		return ctx.Err()
	})
	return p, err
}

// add counts what was read next to what was counted.
func (s *span) add(p part) {
	s.counts.add(p.arrivals)
	s.high = max(s.high, p.to+1)
	if older := p.from < s.low; older || s.oldest.IsZero() {
		s.low = p.from
		if !p.oldest.IsZero() {
			s.oldest = p.oldest
		}
	}
}
