package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/natsserver/blockfile"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// LastSequence returns the sequence of the newest message that a stream ever stored, 0 if there
// never was one. The leader answers.
func (b *Store) LastSequence(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Range calls yield with each message of a stream whose sequence is from from to to, in order, as
// it is stored: a body in the object store is not fetched. An error of yield ends it and is
// returned. The messages come from the stream's leader, so that a lagging replica cannot leave one
// out.
func (b *Store) Range(ctx context.Context, stream string, from, to uint64, yield func(Message) error) error {
	return reader.Scan(ctx, b.js, stream, reader.From{Sequence: max(from, 1)}, to, messages(yield))
}

// Position is where a reading begins. The zero Position is the oldest message.
type Position struct {
	// Time leaves out what was stored earlier, unless Sequence is set.
	Time time.Time
	// Sequence is that of the first message wanted; 0 means that Time decides.
	Sequence uint64
	// Back yields what this leaves out, newest first; without Time and Sequence, all.
	Back bool
}

// From yields the messages of a stream from a position up to the last one at the time of the call,
// as Range does; without their data if headersOnly.
func (b *Store) From(ctx context.Context, stream string, from Position, headersOnly bool) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		last, err := b.LastSequence(ctx, stream)
		if err == nil {
			scan := reader.Scan
			if from.Back {
				scan = reader.Back
			}
			err = scan(ctx, b.js, stream, reader.From{Sequence: from.Sequence, Time: from.Time, Bare: headersOnly}, last, messages(func(m Message) error {
				if !yield(m, nil) {
					return errEnough
				}
				return nil
			}))
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(Message{}, err)
		}
	}
}

// errEnough ends a scan whose caller wants no more.
var errEnough = errors.New("the caller stopped reading")

// Extent is what a stream holds at one moment.
type Extent struct {
	// First is the sequence of the oldest message; one more than Last if there is none.
	First uint64
	// Last is the sequence of the newest message ever stored.
	Last uint64
	// Messages and Bytes are the number and the size of the stored messages.
	Messages, Bytes uint64
	// Created is when the stream was created, and Oldest when its oldest message was stored; zero
	// if there is none.
	Created, Oldest time.Time
}

// Extent returns what a stream holds, as its leader answers. The error is ErrMissing or
// ErrUnavailable.
func (b *Store) Extent(ctx context.Context, stream string) (Extent, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Extent{}, fmt.Errorf("%w: %s", conn.ErrMissing, stream)
	}
	if err != nil {
		return Extent{}, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, stream, err)
	}
	info := s.CachedInfo()
	state := info.State
	e := Extent{First: state.FirstSeq, Last: state.LastSeq, Messages: state.Msgs, Bytes: state.Bytes, Created: info.Created}
	if state.Msgs > 0 {
		e.Oldest = state.FirstTime
	}
	return e, nil
}

// Lines is Range for readers of very many messages. If the stream is stored on this machine, its
// messages are read from the server's files, at a small part of the cost, and only those that are
// not found there are requested from the server. The server still decides which messages exist and
// which were removed, and it serves everything from the first unreadable message on. A message that
// was read from a file has its headers in Lines; its memory is shared and must not be written to.
// If the files hold messages out of order, or one sequence twice, Lines yields them so.
func (b *Store) Lines(ctx context.Context, stream string, from, to uint64, yield func(Message) error) error {
	folder, here := b.blocksOf(stream)
	if !here {
		return b.Range(ctx, stream, from, to, yield)
	}
	asking, cancel := b.bound(ctx)
	held, err := reader.Holds(asking, b.js, stream)
	cancel()
	if err != nil {
		return err
	}
	if held.Many {
		return b.Range(ctx, stream, from, to, yield)
	}
	next := max(from, held.First)
	to = min(to, held.Last)
	server := func(until uint64) error {
		for next < until && held.Removed(next) {
			next++
		}
		if next >= until {
			return nil
		}
		return b.Range(ctx, stream, next, until-1, yield)
	}
	all, start := next == held.First, blockfile.Position{}
	if !all {
		start = b.endOf(stream, next)
	}
	end, unread, err := folder.Read(ctx, start, all, next, to, func(m blockfile.Message) error {
		if held.Removed(m.Sequence) {
			return nil
		}
		if err := server(m.Sequence); err != nil {
			return err
		}
		next = max(next, m.Sequence+1)
		return yield(Message{Subject: m.Subject, Sequence: m.Sequence, Time: m.Time, Lines: m.Lines, Data: m.Data})
	})
	if err != nil {
		return err
	}
	next = min(next, unread)
	if next > to {
		b.ends.Store(stream, endOf{to + 1, end})
		return nil
	}
	return server(to + 1)
}

// blocksOf returns the files of a stream's messages; false if they are not on this machine.
func (b *Store) blocksOf(stream string) (blockfile.Folder, bool) {
	return storefolder.Messages(b.folder, stream), b.folder != "" && b.opts.Domain == ""
}

// endOf is where a reading of a stream's files ended, and the sequence that comes next there.
type endOf struct {
	next uint64
	blockfile.Position
}

// endOf returns where a sequence is if the last reading ended before it. It is only a hint: a
// record says itself which sequence it has.
func (b *Store) endOf(stream string, seq uint64) blockfile.Position {
	if v, ok := b.ends.Load(stream); ok {
		if e, ok := v.(endOf); ok && e.next == seq {
			return e.Position
		}
	}
	return blockfile.Position{}
}
