package edge_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/natstest"
)

// This is why an edge forwards its records: a stream that sources other streams takes every
// message, or stops at the first duplicate. See processInboundSourceMsg in stream.go of
// nats-server.
func TestSourcingCannotDeduplicate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		limit func(*jetstream.StreamConfig)
		// want counts the messages of the job of both edges, next those of the job behind it.
		want, next uint64
	}{
		{"without a limit the job ends twice", func(*jetstream.StreamConfig) {}, 2, 1},
		{"with one message for each subject nothing comes after the duplicate", func(c *jetstream.StreamConfig) {
			c.MaxMsgsPerSubject, c.Discard, c.DiscardNewPerSubject, c.MaxMsgs = 1, jetstream.DiscardNew, true, 1000
		}, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			js := natstest.NewServer(t, 0).JetStream()
			hub := jetstream.StreamConfig{Name: "HUB", Storage: jetstream.FileStorage}
			for _, edge := range []string{"a", "b"} {
				if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: edge, Subjects: []string{edge + ".>"}}); err != nil {
					t.Fatal(err)
				}
				hub.Sources = append(hub.Sources, &jetstream.StreamSource{
					Name: edge, SubjectTransforms: []jetstream.SubjectTransformConfig{{Source: edge + ".>", Destination: "jobs.>"}},
				})
			}
			tt.limit(&hub)
			stream, err := js.CreateStream(t.Context(), hub)
			if err != nil {
				t.Fatal(err)
			}
			on := func(subject string) uint64 {
				info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(subject))
				if err != nil {
					t.Fatal(err)
				}
				return info.State.Subjects[subject]
			}
			for _, edge := range []string{"a", "b"} {
				for _, job := range []string{"1.finished", edge + ".finished"} {
					subject := fmt.Sprintf("%s.demo.%s", edge, job)
					if _, err := js.Publish(t.Context(), subject, nil, jetstream.WithExpectLastSequencePerSubject(0)); err != nil {
						t.Fatal(err)
					}
				}
				if edge == "a" {
					natstest.Eventually(t, "the first edge's events", func() bool { return on("jobs.demo.a.finished") == 1 })
				}
			}
			if tt.next == 1 {
				natstest.Eventually(t, "the second edge's events", func() bool { return on("jobs.demo.b.finished") == 1 })
			}
			// Later messages of the first edge arrive; those of the second never do.
			if _, err := js.Publish(t.Context(), "a.demo.later.finished", nil); err != nil {
				t.Fatal(err)
			}
			natstest.Eventually(t, "a later event of the first edge", func() bool { return on("jobs.demo.later.finished") == 1 })
			if got, next := on("jobs.demo.1.finished"), on("jobs.demo.b.finished"); got != tt.want || next != tt.next {
				t.Errorf("the job ended %d times, and %d events came after it, want %d and %d", got, next, tt.want, tt.next)
			}
		})
	}
}

// This is why a staging stream at the hub does not help, from which a receiver there would publish.
// A source asks for the sequence behind its last one, and takes none again. So the records that a
// store stores after it lost its end, or was restored, never arrive. The server checks when the
// stream was created (identity in stream.go of nats-server), and not that it still has the last
// message. See TestStoreThatLostItsEnd for the promise.
func TestSourcingMissesWhatFollowsALostEnd(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	for _, c := range []jetstream.StreamConfig{
		{Name: "EDGE", Subjects: []string{"jobs.>"}},
		{Name: "STAGING", Sources: []*jetstream.StreamSource{{Name: "EDGE"}}},
	} {
		if _, err := s.JetStream().CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	store := func(ids ...string) {
		t.Helper()
		for _, id := range ids {
			if _, err := s.JetStream().Publish(t.Context(), "jobs.demo."+id+".finished", nil); err != nil {
				t.Fatal(err)
			}
		}
		last := "jobs.demo." + ids[len(ids)-1] + ".finished"
		natstest.Eventually(t, "the last event to be sourced", func() bool { return s.Holds("STAGING", last) == 1 })
	}
	store("1")
	s.Stop()
	putBack := backup(t, filepath.Join(s.Options.StoreDir, "jetstream", "$G", "streams", "EDGE"))
	s.Start()
	store("2", "3")
	s.Stop()
	putBack()
	s.Start()
	store("4", "5", "6") // with the sequences 2 to 4
	for id, want := range map[string]int{"1": 1, "2": 1, "3": 1, "4": 0, "5": 0, "6": 1} {
		if got := s.Holds("STAGING", "jobs.demo."+id+".finished"); got != want {
			t.Errorf("the staging stream holds %d events of job %s, want %d", got, id, want)
		}
	}
}
