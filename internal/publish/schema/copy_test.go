package schema_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

// copied returns the messages of a stream in a comparable form.
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

// A stream in memory is replaced by one on disk with the same messages, however often the command
// is killed. The only complete stream is never removed.
func TestCopyReplacesAStream(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*jetstream.StreamConfig)
		dies   int // after so many steps each run of the command is killed
	}{
		{"in one go", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, 100},
		{"dying after each step", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, 1},
		{"dying after two", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, 2},
		{"sealed", nil, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := natstest.NewServer(t, 1<<20)
			js := s.JetStream()
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
			b, err := publish.Dial(t.Context(), s.External(), conn.Options{})
			if err != nil {
				t.Fatalf("a receiver on the stream: %v", err)
			}
			defer b.Close(context.Background())
			natstest.Store(t, b, natstest.Event(job.Finished, "after", "COMPLETED"))
		})
	}
}

// copyUntil runs the command for so many steps, and reports whether it finished.
func copyUntil(t *testing.T, s *natstest.Server, steps int) bool {
	t.Helper()
	v, err := schema.SurveyCluster(t.Context(), s.External(), conn.Options{})
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

// whole counts how many of the two streams have all messages.
func whole(t *testing.T, js jetstream.JetStream, want []string) (n int) {
	t.Helper()
	for _, name := range []string{"JOBS", "JOBS_COPY"} {
		if _, err := js.Stream(t.Context(), name); err == nil && slices.Equal(copied(t, js, name), want) {
			n++
		}
	}
	return n
}

// Copy does not take changes of another client for its own.
func TestCopyStopsAfterForeignChanges(t *testing.T) {
	t.Parallel()
	loseOne := func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, "JOBS_COPY")
		if err != nil {
			return err
		}
		return s.DeleteMsg(ctx, 2)
	}
	for _, row := range []struct {
		name   string
		do     func(ctx context.Context, js jetstream.JetStream) error
		want   string
		silent bool          // NATS answers no request once the two were compared
		bound  time.Duration // of the copy; 0 means that only its requests have one
	}{
		{"the original removed by hand", func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, "JOBS") }, "not by this command", false, 2 * time.Second},
		{"a new one made", func(ctx context.Context, js jetstream.JetStream) error {
			if err := js.DeleteStream(ctx, "JOBS"); err != nil {
				return err
			}
			_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
			return err
		}, "a new JOBS was made", false, 2 * time.Second},
		{"a copy of somebody else's", func(ctx context.Context, js jetstream.JetStream) error {
			if err := js.DeleteStream(ctx, "JOBS_COPY"); err != nil {
				return err
			}
			_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "JOBS_COPY", Subjects: []string{"other"}})
			return err
		}, "did not make", false, 2 * time.Second},
		{"the copy lost a message", loseOne, "JOBS still has all messages", false, 2 * time.Second},
		{"the copy lost a message, and NATS answers no more", loseOne, "JOBS still has all messages", true, 2 * time.Second},
		{"the copy lost a message, and a request fails", loseOne, "JOBS still has all messages", true, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := natstest.NewServer(t, 1<<20)
			js := s.JetStream()
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
			natstest.Eventually(t, "the mirror to be whole", func() bool {
				c, err := js.Stream(t.Context(), "JOBS_COPY")
				return err == nil && c.CachedInfo().State.Msgs == 3
			})
			if err := row.do(t.Context(), js); err != nil {
				t.Fatal(err)
			}
			w := natstest.NewWall(t, s.NATS.Addr().String())
			v, err := schema.SurveyCluster(t.Context(), conn.External{URLs: []string{w.URL()}}, conn.Options{Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			if row.silent {
				asked := 0
				if _, err := s.Conn.Subscribe("$JS.API.STREAM.INFO.JOBS_COPY", func(*nats.Msg) {
					if asked++; asked == 3 { // what is there, the comparison, and the next one
						w.Close()
					}
				}); err != nil {
					t.Fatal(err)
				}
				natstest.Flush(t, s.Conn)
			}
			ctx, cancel := t.Context(), func() {}
			if row.bound > 0 {
				ctx, cancel = context.WithTimeout(ctx, row.bound)
			}
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

// A copy of a stream of the embedded store continues after a kill or a stop at any step. No
// receiver starts an empty stream meanwhile.
func TestCopyOfAnEmbeddedStream(t *testing.T) {
	t.Parallel()
	e := natstest.Embedded(t.TempDir())
	e.Sealed = storefolder.Sealed{Kept: func() (map[string]storefolder.Known, error) {
		return map[string]storefolder.Known{conn.JobsStream: {Size: 9}}, nil
	}}
	s, err := natsserver.Start(natstest.Embedded(e.Folder))
	if err != nil {
		t.Fatal(err)
	}
	b := natstest.OpenWith(t, s, conn.Options{})
	for i := range 9 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	if _, err := b.Tiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Checkpoints(t.Context(), "test", conn.JobsStream); err != nil {
		t.Fatal(err)
	}
	if err := seal(t.Context(), b, conn.JobsStream); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	copyOn := func(e natsserver.Embedded, after func(step int)) int {
		t.Helper()
		s, err := natsserver.Start(e)
		if err != nil {
			t.Fatalf("Start = %v, want a server", err)
		}
		defer s.Stop()
		v, err := natstest.Survey(t, s, conn.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		steps := 0
		if err := v.Copy(ctx, conn.JobsStream, job.Action{What: job.ActionStreams, Time: time.Now()}, func(string) {
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
		natstest.CopyLive(t, e.Folder, killed[len(killed)-1])
	})
	if steps < 6 {
		t.Fatalf("Copy took %d steps, want all of them", steps)
	}
	for i, folder := range append(killed, e.Folder) {
		again := e
		again.Folder = t.TempDir()
		natstest.CopyFolder(t, folder, again.Folder)
		s, err := natsserver.Start(again)
		if err != nil {
			t.Fatalf("Start after step %d = %v, want a server", i+1, err)
		}
		b, err := publish.Open(t.Context(), s, conn.Options{})
		if err == nil {
			if got := natstest.ExtentOf(t, b, conn.JobsStream); got.Messages != 9 {
				t.Errorf("after step %d a receiver opens %d events, want 9", i+1, got.Messages)
			}
			_ = b.Close(t.Context())
		} else if !errors.Is(err, conn.ErrStream) {
			t.Errorf("Open after step %d = %v, want ErrStream", i+1, err)
		}
		s.Stop() // the note of a clean stop reports no loss either
		copyOn(again, func(int) {})
		s = natstest.Start(t, again.Folder)
		if got := natstest.ExtentOf(t, natstest.OpenWith(t, s, conn.Options{}), conn.JobsStream); got.Messages != 9 || got.First != 1 || got.Last != 9 {
			t.Errorf("after step %d and the rest JOBS is %+v", i+1, got)
		}
	}
}

// seal makes a stream of b refuse messages for ever.
func seal(ctx context.Context, b *publish.Store, stream string) error {
	s, err := b.JetStream().Stream(ctx, stream)
	if err != nil {
		return err
	}
	to := s.CachedInfo().Config
	to.Sealed = true
	_, err = b.JetStream().UpdateStream(ctx, to)
	return err
}

// A mirror does not learn of sequences behind its last message, and they must not be given out
// twice.
func TestCopyRefusesAStreamWithoutItsLastMessage(t *testing.T) {
	t.Parallel()
	for _, removed := range [][]uint64{{3}, {2, 3}, {1, 2, 3}} {
		s := natstest.NewServer(t, 1<<20)
		js := s.JetStream()
		stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}, Storage: jetstream.MemoryStorage})
		natstest.Must(t, err)
		for i := range 3 {
			_, err := js.Publish(t.Context(), fmt.Sprintf("jobs.demo.%d.finished", i), nil)
			natstest.Must(t, err)
		}
		for _, seq := range removed {
			natstest.Must(t, stream.DeleteMsg(t.Context(), seq))
		}
		v := surveyed(t, func() (*schema.Survey, error) { return schema.SurveyCluster(t.Context(), s.External(), conn.Options{}) })
		err = v.Copy(t.Context(), "JOBS", job.Action{What: job.ActionStreams, Time: time.Now()}, func(step string) { t.Errorf("without %v it did: %s", removed, step) })
		if !errors.Is(err, schema.ErrCopy) || !strings.Contains(err.Error(), "the last message of JOBS was removed") {
			t.Errorf("Copy without %v = %v, want ErrCopy", removed, err)
		}
	}
}
