package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// meddle changes the stream JOBS of a server without the receiver.
type meddle func(t *testing.T, s *natstest.Server, st jetstream.Stream)

func without(sequences ...uint64) meddle {
	return func(t *testing.T, _ *natstest.Server, st jetstream.Stream) {
		for _, seq := range sequences {
			must(t, st.DeleteMsg(t.Context(), seq))
		}
	}
}

func purged(t *testing.T, _ *natstest.Server, st jetstream.Stream) { must(t, st.Purge(t.Context())) }

// replaced replaces the stream by one that holds at least as many messages.
func replaced(t *testing.T, s *natstest.Server, st jetstream.Stream) {
	must(t, s.JS.DeleteStream(t.Context(), conn.JobsStream))
	_, err := s.JS.CreateStream(t.Context(), st.CachedInfo().Config)
	must(t, err)
	stock(t, s.JS, 2*many)
}

// restarted restarts the server. A read may fail, or it continues.
func restarted(_ *testing.T, s *natstest.Server, _ jetstream.Stream) { s.Stop(); s.Start() }

// many is more than twice the messages of one request.
const many = 9000

func upTo(n uint64) (all []uint64) {
	for seq := uint64(1); seq <= n; seq++ {
		all = append(all, seq)
	}
	return all
}

// A read gives all messages that the stream holds, or an error, whatever is removed before it or
// happens meanwhile.
func TestReadIsCompleteOrAnError(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		holds  int
		before meddle
		during meddle // after the first message
		want   []uint64
		err    error // or this error, after fewer messages
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
		"the stream is replaced meanwhile":  {holds: many, during: replaced, err: reader.ErrStalled},
		"the server is restarted meanwhile": {holds: many, during: restarted, want: upTo(many), err: conn.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.NewServer(t, 0)
			b := natstest.Dial(t, s.External(), conn.Options{Timeout: time.Minute})
			stock(t, s.JetStream(), row.holds)
			st, err := s.JS.Stream(t.Context(), conn.JobsStream)
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

// A read misses only the messages that are purged meanwhile. The messages before them come in
// order, without gaps.
func TestReadDuringAPurgeEnds(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{Timeout: time.Minute})
	stock(t, s.JetStream(), many)
	st, err := s.JS.Stream(t.Context(), conn.JobsStream)
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

// A message that is larger than the byte limit of a request is read, and so are the messages behind
// it.
func TestMessageLargerThanABatchIsRead(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 8<<20)
	b := natstest.Dial(t, s.External(), conn.Options{Timeout: time.Minute})
	for i, size := range []int{1, 5 << 20, 1, 6 << 20, 1} {
		_, err := s.JetStream().Publish(t.Context(), fmt.Sprintf("jobs.demo.%d.word", i), make([]byte, size))
		must(t, err)
	}
	for _, direct := range []bool{true, false} {
		st, err := s.JS.Stream(t.Context(), conn.JobsStream)
		must(t, err)
		cfg := st.CachedInfo().Config
		cfg.AllowDirect = direct
		_, err = s.JS.UpdateStream(t.Context(), cfg)
		must(t, err)
		var got []int
		must(t, b.Range(t.Context(), conn.JobsStream, 1, 5, func(m publish.Message) error {
			got = append(got, len(m.Data))
			return nil
		}))
		if !slices.Equal(got, []int{1, 5 << 20, 1, 6 << 20, 1}) {
			t.Errorf("direct=%v: gave messages of %v bytes", direct, got)
		}
	}
}

// A follower continues at its position when the server has restarted.
func TestFollowingContinuesAfterARestart(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{Timeout: time.Minute})
	stock(t, s.JetStream(), 10)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []uint64
	for m, err := range b.Messages(ctx, publish.Watch{Follow: true}) {
		must(t, err)
		got = append(got, m.Sequence)
		if m.Sequence == 10 {
			restarted(t, s, nil)
			stock(t, s.JetStream(), 10)
		}
		if m.Sequence == 20 {
			break
		}
	}
	if !slices.Equal(got, upTo(20)) {
		t.Errorf("gave %v, want 1 to 20; %v", got, context.Cause(ctx))
	}
}
