package schema_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

// store is a server with the streams of a receiver, three events, a body in the bucket, an attempt
// and a consumer that has one event behind it.
func store(t *testing.T) *natstest.Server {
	t.Helper()
	s := natstest.NewServer(t, 1<<20)
	b := natstest.Dial(t, s.External(), conn.Options{})
	for i := range 3 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	natstest.Store(t, b, natstest.Large(natstest.Event(job.Finished, "large", "COMPLETED"), 3<<20))
	natstest.Must(t, b.Close(t.Context()))
	jobs, err := s.JetStream().CreateConsumer(t.Context(), "JOBS", jetstream.ConsumerConfig{Durable: "orders", AckPolicy: jetstream.AckExplicitPolicy})
	natstest.Must(t, err)
	m, err := jobs.Next()
	natstest.Must(t, err)
	natstest.Must(t, m.DoubleAck(t.Context()))
	for range 3 {
		_, err := s.JetStream().Publish(t.Context(), "attempts.crm.mismatch", nil)
		natstest.Must(t, err)
	}
	return s
}

// move runs Move once, and kills it after so many steps.
func move(t *testing.T, from, to *natstest.Server, steps int) (others []string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	here := surveyed(t, func() (*schema.Survey, error) { return schema.SurveyCluster(ctx, from.External(), conn.Options{}) })
	there := surveyed(t, func() (*schema.Survey, error) { return schema.SurveyCluster(ctx, to.External(), conn.Options{}) })
	return here.Move(ctx, there, func(string) {
		if steps--; steps == 0 {
			cancel()
		}
	})
}

// contents are the messages of all streams, and how many are still to come to the consumer.
func contents(t *testing.T, s *natstest.Server) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for name := range s.JetStream().StreamNames(t.Context()).Name() {
		stream, err := s.JetStream().Stream(t.Context(), name)
		natstest.Must(t, err)
		state := stream.CachedInfo().State
		all[name] = append(copied(t, s.JetStream(), name), fmt.Sprint("ends at ", state.LastSeq))
	}
	c, err := s.JetStream().Consumer(t.Context(), "JOBS", "orders")
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return all
	}
	natstest.Must(t, err)
	all["orders"] = []string{fmt.Sprint(c.CachedInfo().NumPending, " are to come")}
	return all
}

func TestMoveTakesTheStoreAlong(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(t *testing.T, js jetstream.JetStream)
		dies   int // after so many steps each run is killed
		jobs   int // so many are removed
	}{
		{"in one go", nil, 100, 0},
		{"dying after each step", nil, 1, 0},
		{"dying after two", nil, 2, 0},
		{"without the first, a middle and the last message", func(t *testing.T, js jetstream.JetStream) {
			for _, name := range []string{"JOBS", "ATTEMPTS"} {
				s, err := js.Stream(t.Context(), name)
				natstest.Must(t, err)
				for _, seq := range []uint64{1, 2, s.CachedInfo().State.LastSeq} {
					natstest.Must(t, s.DeleteMsg(t.Context(), seq))
				}
			}
		}, 100, 3},
		{"with an empty stream that had messages", func(t *testing.T, js jetstream.JetStream) {
			s, err := js.Stream(t.Context(), "ATTEMPTS")
			natstest.Must(t, err)
			natstest.Must(t, s.Purge(t.Context()))
		}, 100, 0},
		{"with more than is on the way at once", func(t *testing.T, js jetstream.JetStream) {
			for i := range 40 {
				_, err := js.Publish(t.Context(), "attempts.crm.mismatch", bytes.Repeat([]byte(fmt.Sprintf("%d %x", i, i*7919)), 50<<10))
				natstest.Must(t, err)
			}
		}, 100, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			from, to := store(t), natstest.NewServer(t, 1<<20)
			_, err := from.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "THEIRS"})
			natstest.Must(t, err)
			if row.change != nil {
				row.change(t, from.JetStream())
			}
			var others []string
			for life, err := 0, errors.New("not begun"); err != nil; life++ {
				if life > 20 {
					t.Fatalf("it does not come to an end: %v", err)
				}
				if others, err = move(t, from, to, row.dies); errors.Is(err, schema.ErrMove) {
					t.Fatal(err)
				}
			}
			want, got := contents(t, from), contents(t, to)
			delete(want, "THEIRS")
			for name := range maps.Keys(want) {
				if !slices.Equal(got[name], want[name]) {
					t.Errorf("%s there is %v, want %v", name, got[name], want[name])
				}
			}
			if len(got) != len(want) {
				t.Errorf("there are %v there, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			if !slices.Equal(others, []string{"THEIRS"}) {
				t.Errorf("left behind: %v, want THEIRS", others)
			}
			b := natstest.Dial(t, to.External(), conn.Options{})
			again, err := b.Publish(t.Context(), natstest.Event(job.Finished, "1", "COMPLETED"))
			if row.jobs == 0 && (err != nil || !again.Existed) {
				t.Errorf("a repeated callback there = %+v, %v, want the event that there was", again, err)
			}
		})
	}
}

func TestMoveKeepsForeignMessages(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, says string
		before     func(t *testing.T, from, to *natstest.Server)
	}{
		{"a receiver ran there", "other messages: JOBS (1 messages", func(t *testing.T, _, to *natstest.Server) {
			b := natstest.Dial(t, to.External(), conn.Options{})
			natstest.Store(t, b, natstest.Event(job.Finished, "theirs", "COMPLETED"))
		}},
		{"a receiver ran there without a callback", "other messages: JOBS (0 messages", func(t *testing.T, _, to *natstest.Server) {
			natstest.Dial(t, to.External(), conn.Options{})
		}},
		{"the last stream is another", "other messages: ACTIONS (1 messages", func(t *testing.T, _, to *natstest.Server) {
			_, err := to.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "ACTIONS", Subjects: []string{"actions.>"}})
			natstest.Must(t, err)
			_, err = to.JetStream().Publish(t.Context(), "actions.x", nil)
			natstest.Must(t, err)
		}},
		{"a receiver has gone on there", "a receiver has continued what was moved: JOBS ends there at sequence 5, and here at 4", func(t *testing.T, from, to *natstest.Server) {
			_, err := move(t, from, to, 100)
			natstest.Must(t, err)
			b := natstest.Dial(t, to.External(), conn.Options{})
			natstest.Store(t, b, natstest.Event(job.Finished, "later", "COMPLETED"))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			from, to := store(t), natstest.NewServer(t, 1<<20)
			row.before(t, from, to)
			here, there := contents(t, from), contents(t, to)
			_, err := move(t, from, to, 100)
			if !errors.Is(err, schema.ErrMove) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("Move = %v, want ErrMove with %q", err, row.says)
			}
			if !maps.EqualFunc(contents(t, from), here, slices.Equal) || !maps.EqualFunc(contents(t, to), there, slices.Equal) {
				t.Errorf("the servers have %v and %v, want %v and %v as before", contents(t, from), contents(t, to), here, there)
			}
		})
	}
}

// A receiver that starts there too early makes the streams that are still missing. Then the store
// is not moved.
func TestMoveFindsWhatIsMadeMeanwhile(t *testing.T) {
	t.Parallel()
	from, to := store(t), natstest.NewServer(t, 1<<20)
	here := surveyed(t, func() (*schema.Survey, error) {
		return schema.SurveyCluster(t.Context(), from.External(), conn.Options{})
	})
	there := surveyed(t, func() (*schema.Survey, error) {
		return schema.SurveyCluster(t.Context(), to.External(), conn.Options{})
	})
	_, err := here.Move(t.Context(), there, func(string) { natstest.Dial(t, to.External(), conn.Options{}) })
	if !errors.Is(err, schema.ErrMove) || !strings.Contains(err.Error(), "was made there meanwhile") {
		t.Errorf("Move = %v, want ErrMove", err)
	}
}

// An incomplete stream of an interrupted Move takes no message, and the next Move begins it anew.
func TestMoveBeginsAnewWhatIsIncomplete(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"JOBS", "CHECKPOINTS", "WATCH"} {
		from, to := store(t), natstest.NewServer(t, 1<<20)
		if name == "CHECKPOINTS" {
			_, err := from.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{"checkpoints.>"}})
			natstest.Must(t, err)
		}
		_, err := to.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{
			Name: name, Subjects: []string{"receiver.copying." + name}, Metadata: map[string]string{"receiver-copy-of": name, "receiver-moving": "incomplete"},
		})
		natstest.Must(t, err)
		_, err = to.JetStream().Publish(t.Context(), "receiver.copying."+name, nil)
		natstest.Must(t, err)
		if name == "JOBS" {
			if _, err := publish.Dial(t.Context(), to.External(), conn.Options{}); !errors.Is(err, conn.ErrStream) {
				t.Errorf("a receiver on an incomplete JOBS = %v, want ErrStream", err)
			}
		}
		if _, err := move(t, from, to, 100); err != nil {
			t.Errorf("Move with an incomplete %s = %v", name, err)
		}
		for name, want := range contents(t, from) {
			if got := contents(t, to)[name]; !slices.Equal(got, want) {
				t.Errorf("%s there is %v, want %v", name, got, want)
			}
		}
		natstest.Dial(t, to.External(), conn.Options{})
	}
}

// A message may be larger than the other servers take. Move says what to set there, and what it has
// left takes no event, so a receiver that starts there publishes nothing to it.
func TestMoveOfALargerMessageLeavesNothingToPublishTo(t *testing.T) {
	t.Parallel()
	from, to := natstest.NewServer(t, 8<<20), natstest.NewServer(t, 1<<20)
	b := natstest.Dial(t, from.External(), conn.Options{})
	natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	_, err := from.JetStream().Publish(t.Context(), "jobs.demo.2.finished", make([]byte, 3<<20))
	natstest.Must(t, err)
	if _, err := move(t, from, to, 100); err == nil || !strings.Contains(err.Error(), "set max_payload of the NATS servers to 8388608") {
		t.Errorf("Move = %v, want what to set", err)
	}
	for stream := range to.JetStream().ListStreams(t.Context()).Info() {
		if slices.Contains(stream.Config.Subjects, "jobs.>") {
			t.Errorf("%s has %v there, and %d messages", stream.Config.Name, stream.Config.Subjects, stream.State.Msgs)
		}
	}
	if _, err := to.JetStream().Publish(t.Context(), "jobs.demo.3.finished", nil); err == nil {
		t.Error("an event is stored there, want none before the move is over")
	}
}
