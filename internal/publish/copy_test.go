package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// copied are what a stream holds, message by message.
func copied(t *testing.T, js jetstream.JetStream, stream string) (all []string) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	state := s.CachedInfo().State
	for seq := max(state.FirstSeq, 1); seq <= state.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(m.Sequence, m.Subject, m.Time.UnixNano(), len(m.Data)))
	}
	return all
}

// A stream in memory is replaced by one on disk with the same messages, however often the
// command dies on its way, and never is the only whole one removed.
func TestCopyReplacesAStream(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*jetstream.StreamConfig)
		dies   int // after how many steps each life of the command ends
	}{
		{"in one go", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, 100},
		{"dying after each step", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, 1},
		{"dying after two", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, 2},
		{"sealed", nil, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := somebodysServer(t, 1<<20)
			js := s.jetstream()
			config := jetstream.StreamConfig{
				Name: "JOBS", Subjects: []string{"jobs.>"}, Storage: jetstream.FileStorage, AllowDirect: true, AllowAtomicPublish: true,
			}
			if row.change != nil {
				row.change(&config)
			}
			if _, err := js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			for i := range 3000 {
				if _, err := js.PublishAsync(fmt.Sprintf("jobs.demo.%d.finished", i), make([]byte, 4<<10)); err != nil {
					t.Fatal(err)
				}
			}
			<-js.PublishAsyncComplete()
			stream, err := js.Stream(t.Context(), "JOBS")
			if err != nil {
				t.Fatal(err)
			}
			for _, hole := range []uint64{1, 2, 1500} { // first and middle
				if err := stream.DeleteMsg(t.Context(), hole); err != nil {
					t.Fatal(err)
				}
			}
			if row.change == nil {
				config.Sealed = true
				if _, err := js.UpdateStream(t.Context(), config); err != nil {
					t.Fatal(err)
				}
			}
			want := copied(t, js, "JOBS")
			for life := 0; ; life++ {
				if life > 20 {
					t.Fatal("it does not come to an end")
				}
				if n := whole(t, js, want); n == 0 {
					t.Fatalf("before life %d neither JOBS nor JOBS_COPY has all messages", life)
				}
				if copyUntil(t, s, row.dies) {
					break
				}
			}
			if got := copied(t, js, "JOBS"); !slices.Equal(got, want) {
				t.Errorf("JOBS has %d messages, want the %d as they were", len(got), len(want))
			}
			if _, err := js.Stream(t.Context(), "JOBS_COPY"); !errors.Is(err, jetstream.ErrStreamNotFound) {
				t.Errorf("JOBS_COPY is left: %v", err)
			}
			b, err := publish.Dial(t.Context(), s.external(), publish.Options{})
			if err != nil {
				t.Fatalf("a receiver on the stream: %v", err)
			}
			defer b.Close(context.Background())
			store(t, b, event(job.Finished, "after", "COMPLETED"))
		})
	}
}

// copyUntil runs the command until it is done, which it reports, or for so many steps.
func copyUntil(t *testing.T, s *somebodys, steps int) bool {
	t.Helper()
	v, err := publish.SurveyCluster(t.Context(), s.external(), publish.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = v.Copy(ctx, "JOBS", job.Action{What: job.ActionStreams, Time: time.Now()}, func(string) {
		if steps--; steps == 0 {
			cancel()
		}
	})
	if err != nil && ctx.Err() == nil {
		t.Fatalf("Copy = %v", err)
	}
	return err == nil
}

// whole counts which of the two streams have all messages.
func whole(t *testing.T, js jetstream.JetStream, want []string) (n int) {
	t.Helper()
	for _, name := range []string{"JOBS", "JOBS_COPY"} {
		if _, err := js.Stream(t.Context(), name); err == nil && slices.Equal(copied(t, js, name), want) {
			n++
		}
	}
	return n
}

// What somebody else did in between is not taken for what the command did.
func TestCopyRemovesNothingThatIsNotWhole(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(ctx context.Context, js jetstream.JetStream) error
		want string
	}{
		{"the original removed by hand", func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, "JOBS") }, "not by this command"},
		{"a new one made", func(ctx context.Context, js jetstream.JetStream) error {
			if err := js.DeleteStream(ctx, "JOBS"); err != nil {
				return err
			}
			_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
			return err
		}, "a new JOBS was made"},
		{"a copy of somebody else's", func(ctx context.Context, js jetstream.JetStream) error {
			if err := js.DeleteStream(ctx, "JOBS_COPY"); err != nil {
				return err
			}
			_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "JOBS_COPY", Subjects: []string{"other"}})
			return err
		}, "did not make"},
		{"the copy lost a message", func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, "JOBS_COPY")
			if err != nil {
				return err
			}
			return s.DeleteMsg(ctx, 2)
		}, "nothing was removed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := somebodysServer(t, 1<<20)
			js := s.jetstream()
			if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
				Name: "JOBS", Subjects: []string{"jobs.>"}, Storage: jetstream.MemoryStorage,
			}); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				if _, err := js.Publish(t.Context(), fmt.Sprintf("jobs.demo.%d.finished", i), nil); err != nil {
					t.Fatal(err)
				}
			}
			copyUntil(t, s, 1)
			eventually(t, "the mirror to be whole", func() bool {
				c, err := js.Stream(t.Context(), "JOBS_COPY")
				return err == nil && c.CachedInfo().State.Msgs == 3
			})
			if err := row.do(t.Context(), js); err != nil {
				t.Fatal(err)
			}
			v, err := publish.SurveyCluster(t.Context(), s.external(), publish.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err = v.Copy(ctx, "JOBS", job.Action{What: job.ActionStreams}, func(string) {})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Copy = %v, want %q", err, row.want)
			}
			if _, err := js.Stream(t.Context(), "JOBS_COPY"); err != nil {
				t.Errorf("JOBS_COPY was removed: %v", err)
			}
		})
	}
}

// A copying on the embedded store that was killed, or ended, after any step is gone on with, and
// no receiver begins an empty stream meanwhile.
func TestCopyOfAnEmbeddedStream(t *testing.T) {
	e := embedded(t.TempDir())
	e.Sealed = publish.Sealed{Kept: func() (map[string]uint64, error) { return map[string]uint64{publish.JobsStream: 9}, nil }}
	s, err := publish.Start(embedded(e.Folder))
	if err != nil {
		t.Fatal(err)
	}
	b := openWith(t, s, publish.Options{})
	for i := range 9 {
		store(t, b, event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	if _, err := b.Tiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Checkpoints(t.Context(), "test", publish.JobsStream); err != nil {
		t.Fatal(err)
	}
	if err := publish.Seal(t.Context(), b, publish.JobsStream); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	copyOn := func(e publish.Embedded, after func(step int)) int {
		t.Helper()
		s, err := publish.Start(e)
		if err != nil {
			t.Fatalf("Start = %v, want a server", err)
		}
		defer s.Stop()
		v, err := s.Survey(t.Context(), publish.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		steps := 0
		if err := v.Copy(ctx, publish.JobsStream, job.Action{What: job.ActionStreams, Time: time.Now()}, func(string) {
			steps++
			after(steps)
		}); err != nil {
			t.Fatalf("Copy = %v", err)
		}
		return steps
	}
	var killed []string
	steps := copyOn(e, func(int) {
		killed = append(killed, t.TempDir())
		if err := publish.CopyTree(e.Folder, killed[len(killed)-1]); err != nil {
			t.Fatal(err)
		}
	})
	if steps < 6 {
		t.Fatalf("Copy took %d steps, want all of them", steps)
	}
	for i, folder := range append(killed, e.Folder) {
		again := e
		again.Folder = t.TempDir()
		copyStore(t, folder, again.Folder)
		s, err := publish.Start(again)
		if err != nil {
			t.Fatalf("Start after step %d = %v, want a server", i+1, err)
		}
		b, err := s.Open(t.Context(), publish.Options{})
		if err == nil {
			if got := extent(t, b, publish.JobsStream); got.Messages != 9 {
				t.Errorf("after step %d a receiver opens %d events, want 9", i+1, got.Messages)
			}
			_ = b.Close(t.Context())
		} else if !errors.Is(err, publish.ErrStream) {
			t.Errorf("Open after step %d = %v, want ErrStream", i+1, err)
		}
		s.Stop() // what a clean stop notes of it is no loss either
		copyOn(again, func(int) {})
		s = start(t, again.Folder)
		if got := extent(t, openWith(t, s, publish.Options{}), publish.JobsStream); got.Messages != 9 || got.First != 1 || got.Last != 9 {
			t.Errorf("after step %d and the rest JOBS is %+v", i+1, got)
		}
	}
}
