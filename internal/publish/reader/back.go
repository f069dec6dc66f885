package reader

import (
	"context"
	"math"

	"github.com/nats-io/nats.go/jetstream"
)

// The number of sequences that Back reads first, and of messages that it reads and holds at most.
const (
	firstBack = 128
	maxBack   = 1024
)

// Back calls yield with the messages of a stream up to a sequence, newest first, and of these with
// what a Scan from the same place leaves out; with all, where it leaves out none.
func Back(ctx context.Context, js jetstream.JetStream, stream string, from From, to uint64, yield func(*jetstream.RawStreamMsg) error) error {
	before := min(to, math.MaxInt64) + 1
	switch {
	case from.Sequence > 0:
		before = min(from.Sequence, before)
	case !from.Time.IsZero():
		at, err := Since(ctx, js, stream, from.Time)
		if err != nil {
			return err
		}
		before = min(at, before)
	}
	for width := uint64(firstBack); before > 1; {
		all, err := part(ctx, js, stream, From{Sequence: max(before, width+1) - width, Bare: from.Bare}, before)
		switch {
		case err != nil:
			return err
		case all == nil:
			return nil
		case len(all) > maxBack: // a gap made the part wide
			width /= 2
			continue
		}
		for i := len(all) - 1; i >= 0; i-- {
			if err := yield(all[i]); err != nil {
				return err
			}
			all[i] = nil
		}
		if before = max(before, width+1) - width; len(all) <= maxBack/2 {
			width *= 2
		}
	}
	return nil
}

// part returns the messages of a stream up to a sequence, but never many more than maxBack; nil
// if no message stands before that sequence.
func part(ctx context.Context, js jetstream.JetStream, stream string, from From, before uint64) ([]*jetstream.RawStreamMsg, error) {
	c, err := newCursor(ctx, js, stream, from)
	if err != nil || c.at >= before {
		return nil, err
	}
	c.end = min(c.end, before-1)
	all := []*jetstream.RawStreamMsg{}
	for len(all) <= maxBack {
		m, err := c.next(ctx)
		if err != nil {
			return nil, err
		}
		if m == nil {
			break
		}
		all = append(all, m)
	}
	return all, nil
}
