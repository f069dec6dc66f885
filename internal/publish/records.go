package publish

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// Lines is Range for who reads very many: where the stream is kept on this machine its
// messages are read from the server's files, at a small part of the price, and only what
// is not found there comes from the server. What is there and what was removed is the
// server's word all the same, and so is everything from the first message on that cannot be
// read. A message has its headers in Lines if it was read from a file; its memory is shared
// with others and written to by nobody. Only files in which messages stand out of order, or
// one sequence twice, make it yield them so.
func (b *Bus) Lines(ctx context.Context, stream string, from, to uint64, yield func(Message) error) error {
	folder, here := b.blocksOf(stream)
	if !here {
		return b.Range(ctx, stream, from, to, yield)
	}
	held, err := b.held(ctx, stream)
	if err != nil {
		return err
	}
	if held.many {
		return b.Range(ctx, stream, from, to, yield)
	}
	next := max(from, held.first)
	to = min(to, held.last)
	server := func(until uint64) error {
		for next < until && held.isGone(next) {
			next++
		}
		if next >= until {
			return nil
		}
		return b.Range(ctx, stream, next, until-1, yield)
	}
	all, start := next == held.first, place{}
	if !all {
		start = b.endOf(stream, next)
	}
	files := reading{from: next, to: to, next: next, server: to + 1, yield: func(m Message) error {
		if held.isGone(m.Sequence) {
			return nil
		}
		if err := server(m.Sequence); err != nil {
			return err
		}
		next = max(next, m.Sequence+1)
		return yield(m)
	}}
	end, err := folder.read(ctx, start, all, &files)
	if err != nil {
		return err
	}
	next = min(next, files.server)
	if next > to {
		b.ends.Store(stream, endOf{to + 1, end})
		return nil
	}
	return server(to + 1)
}

// endOf is where a reading of a stream's files ended, and the sequence that it awaits.
type endOf struct {
	next uint64
	place
}

// endOf returns where a sequence is to be found if the last reading ended before it. It is
// no more than a hint: what is there says itself what it is.
func (b *Bus) endOf(stream string, seq uint64) place {
	if v, ok := b.ends.Load(stream); ok {
		if e, ok := v.(endOf); ok && e.next == seq {
			return e.place
		}
	}
	return place{}
}

// held is what a stream holds, by the word of its leader.
type held struct {
	first, last uint64
	gone        []uint64 // sequences between them whose messages were removed, ascending
	many        bool     // there are too many of them to be told
}

// mostGone is how many removed messages are asked for one by one.
const mostGone = 100_000

func (b *Bus) held(ctx context.Context, stream string) (held, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	return heldBy(ctx, b.js, stream)
}

func heldBy(ctx context.Context, js jetstream.JetStream, stream string) (held, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return held{}, fmt.Errorf("%w: asking for stream %s: %v", ErrUnavailable, stream, err)
	}
	state := s.CachedInfo().State
	if state.NumDeleted > 0 && state.NumDeleted <= mostGone {
		info, err := s.Info(ctx, jetstream.WithDeletedDetails(true))
		if err != nil {
			return held{}, fmt.Errorf("%w: asking for stream %s: %v", ErrUnavailable, stream, err)
		}
		state = info.State
		slices.Sort(state.Deleted)
	}
	return held{state.FirstSeq, state.LastSeq, state.Deleted, state.NumDeleted > mostGone}, nil
}

func (h held) isGone(seq uint64) bool {
	_, gone := slices.BinarySearch(h.gone, seq)
	return gone || seq < h.first
}
