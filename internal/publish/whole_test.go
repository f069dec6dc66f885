package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish"
)

// meddle changes the stream JOBS of a server behind the receiver's back.
type meddle func(t *testing.T, s *somebodys, st jetstream.Stream)

func without(sequences ...uint64) meddle {
	return func(t *testing.T, _ *somebodys, st jetstream.Stream) {
		for _, seq := range sequences {
			must(t, st.DeleteMsg(t.Context(), seq))
		}
	}
}

func purged(t *testing.T, _ *somebodys, st jetstream.Stream) { must(t, st.Purge(t.Context())) }

// replaced has the stream removed, and one with as many messages and more take its place.
func replaced(t *testing.T, s *somebodys, st jetstream.Stream) {
	must(t, s.js.DeleteStream(t.Context(), publish.JobsStream))
	_, err := s.js.CreateStream(t.Context(), st.CachedInfo().Config)
	must(t, err)
	stock(t, s.js, 2*many)
}

// restarted has the server begin anew; a reading may break, but goes on if it does not.
func restarted(_ *testing.T, s *somebodys, _ jetstream.Stream) { s.stop(); s.start() }

// many is more than is asked for at once, twice.
const many = 9000

func upTo(n uint64) (all []uint64) {
	for seq := uint64(1); seq <= n; seq++ {
		all = append(all, seq)
	}
	return all
}

// A reading gives what the stream holds, whatever is missing there, and whatever becomes of it
// meanwhile; or it is an error.
func TestAReadingIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		holds  int
		before meddle
		during meddle // after the first message
		want   []uint64
		err    error // it may be, with less
	}{
		"no message":                        {},
		"one message":                       {holds: 1, want: upTo(1)},
		"one, which was removed":            {holds: 1, before: without(1)},
		"the first was removed":             {holds: 5, before: without(1), want: []uint64{2, 3, 4, 5}},
		"one amid was removed":              {holds: 5, before: without(3), want: []uint64{1, 2, 4, 5}},
		"the last was removed":              {holds: 5, before: without(5), want: upTo(4)},
		"every second is removed":           {holds: 6, before: without(2, 4, 6), want: []uint64{1, 3, 5}},
		"nothing but the last":              {holds: 5, before: without(1, 2, 3, 4), want: []uint64{5}},
		"all was purged":                    {holds: 5, before: purged},
		"many":                              {holds: many, want: upTo(many)},
		"the last is removed meanwhile":     {holds: many, during: without(many), want: upTo(many - 1)},
		"one amid is removed meanwhile":     {holds: many, during: without(many - 2), want: append(upTo(many-3), many-1, many)},
		"the stream is replaced meanwhile":  {holds: many, during: replaced, err: publish.ErrStalled},
		"the server is restarted meanwhile": {holds: many, during: restarted, want: upTo(many), err: publish.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := somebodysServer(t, 0)
			b := dial(t, s.external(), publish.Options{Timeout: time.Minute})
			stock(t, s.jetstream(), row.holds)
			st, err := s.js.Stream(t.Context(), publish.JobsStream)
			must(t, err)
			if row.before != nil {
				row.before(t, s, st)
			}
			var got []uint64
			for m, err := range b.Messages(t.Context(), publish.Watch{}) {
				if err != nil {
					if row.err == nil || !errors.Is(err, row.err) {
						t.Fatalf("after %d messages: %v", len(got), err)
					}
					return
				}
				got = append(got, m.Sequence)
				if len(got) == 1 && row.during != nil {
					row.during(t, s, st)
				}
			}
			if row.want == nil && row.err != nil || !slices.Equal(got, row.want) {
				t.Errorf("gave %d messages, want %d, or %v", len(got), len(row.want), row.err)
			}
		})
	}
}

// What is purged while it is read is missing, and nothing else: what was there before comes in
// order, without gaps.
func TestAReadingOfWhatIsPurgedEnds(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{Timeout: time.Minute})
	stock(t, s.jetstream(), many)
	st, err := s.js.Stream(t.Context(), publish.JobsStream)
	must(t, err)
	var got []uint64
	for m, err := range b.Messages(t.Context(), publish.Watch{}) {
		must(t, err)
		if got = append(got, m.Sequence); len(got) == 1 {
			must(t, st.Purge(t.Context(), jetstream.WithPurgeSequence(many)))
		}
	}
	if n := len(got); n < 2 || got[n-1] != many || !slices.Equal(got[:n-1], upTo(uint64(n-1))) {
		t.Errorf("gave %d messages, the last of them %v, want some from the first on and sequence %d", n, got[max(n-3, 0):], many)
	}
}

// A message that is larger than all that is asked for at once is read, and what stands behind it.
func TestAMessageLargerThanABatchIsRead(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 8<<20)
	b := dial(t, s.external(), publish.Options{Timeout: time.Minute})
	for i, size := range []int{1, 5 << 20, 1, 6 << 20, 1} {
		_, err := s.jetstream().Publish(t.Context(), fmt.Sprintf("jobs.demo.%d.word", i), make([]byte, size))
		must(t, err)
	}
	for _, direct := range []bool{true, false} {
		st, err := s.js.Stream(t.Context(), publish.JobsStream)
		must(t, err)
		cfg := st.CachedInfo().Config
		cfg.AllowDirect = direct
		_, err = s.js.UpdateStream(t.Context(), cfg)
		must(t, err)
		var got []int
		must(t, b.Range(t.Context(), publish.JobsStream, 1, 5, func(m publish.Message) error {
			got = append(got, len(m.Data))
			return nil
		}))
		if !slices.Equal(got, []int{1, 5 << 20, 1, 6 << 20, 1}) {
			t.Errorf("direct=%v: gave messages of %v bytes", direct, got)
		}
	}
}

// Who follows goes on where he was when the server is there again.
func TestWhoFollowsGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{Timeout: time.Minute})
	stock(t, s.jetstream(), 10)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []uint64
	for m, err := range b.Messages(ctx, publish.Watch{Follow: true}) {
		must(t, err)
		got = append(got, m.Sequence)
		if m.Sequence == 10 {
			restarted(t, s, nil)
			stock(t, s.jetstream(), 10)
		}
		if m.Sequence == 20 {
			break
		}
	}
	if !slices.Equal(got, upTo(20)) {
		t.Errorf("gave %v, want 1 to 20; %v", got, context.Cause(ctx))
	}
}
