package publish_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
)

// guardedStream returns a store on a server in this process or another, its log, and a function
// that checks its streams.
func guardedStream(t *testing.T, where string) (b *publish.Store, said *natstest.Logs, look func(times int)) {
	t.Helper()
	said = &natstest.Logs{}
	o := conn.Options{Log: said.Logger(), Timeout: 2 * time.Second}
	if where == "external" {
		b = natstest.Dial(t, natstest.NewServer(t, 0).External(), o)
	} else {
		var err error
		b, err = publish.Open(t.Context(), natstest.Start(t, t.TempDir()), o)
		must(t, err)
		t.Cleanup(func() { _ = b.Close(context.Background()) })
	}
	once := publish.Guard(b)
	return b, said, func(times int) {
		for range times {
			once(t.Context())
		}
	}
}

// A stream that an operator removes is created again if that loses nothing.
func TestRemovedStreamIsRecreated(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for stream, write := range map[string]func(b *publish.Store) error{
		conn.WatchStream: func(b *publish.Store) error {
			_, err := b.PutWatch(ctx, job.Watch{Source: "demo", Job: "another", Since: time.Now(), Next: time.Now()})
			return err
		},
		conn.AttemptsStream: func(b *publish.Store) error { return b.Record(ctx, natstest.Attempt("late")) },
		conn.ActionsStream: func(b *publish.Store) error {
			_, err := b.Act(ctx, job.Action{What: job.ActionStart, Time: time.Now()})
			return err
		},
		conn.CheckpointsStream: func(b *publish.Store) error {
			c, err := b.Checkpoints(ctx, "me", conn.JobsStream)
			if err == nil {
				_, revision, _ := c.Load(ctx)
				_, err = c.Store(ctx, []byte("checkpoint"), revision)
			}
			return err
		},
	} {
		for _, where := range []string{"embedded", "external"} {
			t.Run(stream+" "+where, func(t *testing.T) {
				t.Parallel()
				b, said, look := guardedStream(t, where)
				for range 3 {
					_ = write(b) // the second fails: there is one watch for each job
				}
				look(1)
				before := infoOf(t, b, stream)
				must(t, b.JetStream().DeleteStream(ctx, stream))
				look(2)
				if !strings.Contains(said.String(), "made it again") {
					t.Error("the log does not say that the stream was made again")
				}
				must(t, write(b))
				if after := infoOf(t, b, stream); after.State.LastSeq != before.State.LastSeq+1 {
					t.Errorf("the sequences end at %d, want one more than %d: none stands for two messages", after.State.LastSeq, before.State.LastSeq)
				}
				look(1)
				if err := b.Ready(ctx); err != nil || b.State() != natsserver.StateOK {
					t.Errorf("Ready = %v, State = %s, want that all is well", err, b.State())
				}
				natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
			})
		}
	}
}

// The contents of a bucket cannot be created again, so a removed bucket is reported until it exists
// again. Callbacks are stored meanwhile.
func TestRemovedBucketIsReported(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, bucket := range []string{conn.PayloadBucket, conn.TilesBucket} {
		for _, where := range []string{"embedded", "external"} {
			t.Run(bucket+" "+where, func(t *testing.T) {
				t.Parallel()
				b, _, look := guardedStream(t, where)
				js := b.JetStream()
				restore := func() {
					_, err := js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: bucket})
					must(t, err)
				}
				restore()
				look(1)
				must(t, js.DeleteObjectStore(ctx, bucket))
				look(3)
				if err := b.Ready(ctx); err == nil || !strings.Contains(err.Error(), "bucket "+bucket+" was removed") {
					t.Errorf("Ready = %v, want an error that names the bucket", err)
				}
				natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
				restore()
				look(1)
				if err := b.Ready(ctx); err != nil || b.State() != natsserver.StateOK {
					t.Errorf("Ready = %v, State = %s, want that all is well once it is there again", err, b.State())
				}
			})
		}
	}
}

func infoOf(t *testing.T, b *publish.Store, stream string) *jetstream.StreamInfo {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), stream)
	must(t, err)
	return s.CachedInfo()
}

// Without JOBS, or with fewer events than were acknowledged, the store cannot tell which jobs have
// ended.
func TestWithoutJobsNothingIsAccepted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for what, c := range map[string]struct {
		do   func(t *testing.T, js jetstream.JetStream)
		undo func(t *testing.T, js jetstream.JetStream)
	}{
		"removed": {do: func(t *testing.T, js jetstream.JetStream) { must(t, js.DeleteStream(ctx, conn.JobsStream)) }},
		"made anew": {do: func(t *testing.T, js jetstream.JetStream) {
			s, err := js.Stream(ctx, conn.JobsStream)
			must(t, err)
			must(t, js.DeleteStream(ctx, conn.JobsStream))
			_, err = js.CreateStream(ctx, s.CachedInfo().Config)
			must(t, err)
		}},
		"given a limit": {
			do:   func(t *testing.T, js jetstream.JetStream) { limit(t, js, 1<<20) },
			undo: func(t *testing.T, js jetstream.JetStream) { limit(t, js, -1) },
		},
	} {
		for _, where := range []string{"embedded", "external"} {
			t.Run(what+" "+where, func(t *testing.T) {
				t.Parallel()
				b, said, look := guardedStream(t, where)
				for _, id := range []string{"1", "2", "3"} {
					natstest.Store(t, b, natstest.Event(job.Finished, id, "COMPLETED"))
				}
				look(1)
				c.do(t, b.JetStream())
				look(3)
				if b.State() != natsserver.StateStream {
					t.Errorf("State = %s, want stream", b.State())
				}
				if err := b.Ready(ctx); err == nil || !strings.Contains(err.Error(), conn.JobsStream) {
					t.Errorf("Ready = %v, want that JOBS is amiss", err)
				} else if c.undo == nil && strings.Contains(err.Error(), "mend --accept-loss") != (where == "embedded") {
					t.Errorf("Ready = %v, want what the next start needs", err)
				}
				for _, id := range []string{"1", "4"} {
					if _, err := b.Publish(ctx, natstest.Event(job.Finished, id, "COMPLETED")); !errors.Is(err, conn.ErrUnavailable) {
						t.Errorf("Publish of %s = %v, want ErrUnavailable", id, err)
					}
				}
				if n := strings.Count(said.String(), "a stream failed its check"); n != 1 {
					t.Errorf("the log says it %d times, want once", n)
				}
				if c.undo == nil {
					return
				}
				c.undo(t, b.JetStream())
				look(1)
				if err := b.Ready(ctx); err != nil || b.State() != natsserver.StateOK {
					t.Errorf("Ready = %v, State = %s, want that all is well", err, b.State())
				}
				natstest.Store(t, b, natstest.Event(job.Finished, "4", "COMPLETED"))
			})
		}
	}
}

func limit(t *testing.T, js jetstream.JetStream, bytes int64) {
	t.Helper()
	s, err := js.Stream(t.Context(), conn.JobsStream)
	must(t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = bytes
	_, err = js.UpdateStream(t.Context(), cfg)
	must(t, err)
}

// An event that an operator removes from JOBS leaves the cache, too: a repeat of its callback is
// stored as an event.
func TestRepeatOfARemovedEventIsStored(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for what, remove := range map[string]func(jetstream.Stream) error{
		"purged":             func(s jetstream.Stream) error { return s.Purge(ctx) },
		"purged to sequence": func(s jetstream.Stream) error { return s.Purge(ctx, jetstream.WithPurgeSequence(3)) },
		"purged but one":     func(s jetstream.Stream) error { return s.Purge(ctx, jetstream.WithPurgeKeep(1)) },
		"subject purged": func(s jetstream.Stream) error {
			return s.Purge(ctx, jetstream.WithPurgeSubject("jobs.demo.2.>"))
		},
		"one deleted": func(s jetstream.Stream) error { return s.DeleteMsg(ctx, 2) },
		"one erased":  func(s jetstream.Stream) error { return s.SecureDeleteMsg(ctx, 2) },
	} {
		for _, where := range []string{"embedded", "external"} {
			t.Run(what+" "+where, func(t *testing.T) {
				t.Parallel()
				b, _, look := guardedStream(t, where)
				for _, id := range []string{"1", "2", "3"} {
					natstest.Store(t, b, natstest.Event(job.Finished, id, "COMPLETED"))
				}
				if got := natstest.Store(t, b, natstest.Event(job.Finished, "2", "COMPLETED")); !got.Existed {
					t.Fatal("a repeat was stored")
				}
				look(1)
				s, err := b.JetStream().Stream(ctx, conn.JobsStream)
				must(t, err)
				must(t, remove(s))
				look(1)
				if got := natstest.Store(t, b, natstest.Event(job.Finished, "2", "COMPLETED")); got.Existed {
					t.Error("a repeat made no event")
				}
				if got := natstest.Store(t, b, natstest.Event(job.Finished, "2", "COMPLETED")); !got.Existed {
					t.Error("the next repeat was stored, too")
				}
				if b.State() != natsserver.StateOK {
					t.Errorf("State = %s, want ok", b.State())
				}
			})
		}
	}
}

// The watch of a job that was removed with WATCH is created again.
func TestWatchesOfARemovedStreamAreRecreated(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, where := range []string{"embedded", "external"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			b, _, look := guardedStream(t, where)
			natstest.Store(t, b, natstest.Event(job.Submitted, "1", "CREATED"))
			put := make(chan error, 100)
			reacting, stop := context.WithCancel(ctx)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for reacting.Err() == nil {
					_ = b.React(reacting, 1, time.Minute, func(ctx context.Context, e job.Stored, _ uint64) time.Duration {
						_, err := b.PutWatch(ctx, job.Watch{Source: e.Source, Job: e.Job.ID, Since: e.Time, Next: e.Time})
						put <- err
						return 0
					})
				}
			}()
			t.Cleanup(func() { stop(); <-done })
			must(t, <-put)
			look(1)
			must(t, b.JetStream().DeleteStream(ctx, conn.WatchStream))
			look(3)
			must(t, <-put)
			if _, there, err := b.Watched(ctx, "demo", "1"); err != nil || !there {
				t.Errorf("the job is watched: %v, %v", there, err)
			}
		})
	}
}

// If restoring the watches fails, the next look tries again.
func TestRestoringWatchesIsTriedAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b, said, look := guardedStream(t, "external")
	_, err := b.JetStream().CreatePushConsumer(ctx, conn.JobsStream, jetstream.ConsumerConfig{
		Durable: durables.ReactConsumer, DeliverSubject: "somewhere", AckPolicy: jetstream.AckExplicitPolicy,
	})
	must(t, err)
	look(1)
	must(t, b.JetStream().DeleteStream(ctx, conn.WatchStream))
	look(3)
	const restored = "the receiver restores the watches"
	if text := said.String(); !strings.Contains(text, "restoring its watches failed and is tried again") || strings.Contains(text, restored) {
		t.Errorf("with a consumer that cannot be used, the log says %s", text)
	}
	must(t, b.JetStream().DeleteConsumer(ctx, conn.JobsStream, durables.ReactConsumer))
	look(1)
	if text := said.String(); !strings.Contains(text, restored) {
		t.Errorf("without it, the log says %s", text)
	}
	if err := b.Ready(ctx); err != nil {
		t.Errorf("Ready = %v, want that all is well again", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
