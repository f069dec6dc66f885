package publish_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// guarded returns a bus on a server in this process or another, what it logs, and what looks
// after its streams.
func guarded(t *testing.T, where string) (b *publish.Bus, said *logs, look func(times int)) {
	t.Helper()
	said = &logs{}
	o := publish.Options{Log: said.logger(), Timeout: 2 * time.Second}
	if where == "external" {
		b = dial(t, somebodysServer(t, 0).external(), o)
	} else {
		var err error
		b, err = start(t, t.TempDir()).Open(t.Context(), o)
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

// A stream that an operator removes is made again where that loses nothing.
func TestAStreamThatIsRemovedIsMadeAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for stream, write := range map[string]func(b *publish.Bus) error{
		publish.WatchStream: func(b *publish.Bus) error {
			_, err := b.PutWatch(ctx, job.Watch{Source: "demo", Job: "another", Since: time.Now(), Next: time.Now()})
			return err
		},
		publish.AttemptsStream: func(b *publish.Bus) error { return b.Record(ctx, attempt("late")) },
		publish.ActionsStream: func(b *publish.Bus) error {
			_, err := b.Act(ctx, job.Action{What: job.ActionStart, Time: time.Now()})
			return err
		},
		publish.CheckpointsStream: func(b *publish.Bus) error {
			c, err := b.Checkpoints(ctx, "me", publish.JobsStream)
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
				b, said, look := guarded(t, where)
				for range 3 {
					_ = write(b) // a watch is there once
				}
				look(1)
				before := infoOf(t, b, stream)
				must(t, publish.JetStream(b).DeleteStream(ctx, stream))
				look(2)
				if !strings.Contains(said.String(), "made again") {
					t.Error("the log does not say that the stream was made again")
				}
				must(t, write(b))
				if after := infoOf(t, b, stream); after.State.LastSeq != before.State.LastSeq+1 {
					t.Errorf("the sequences end at %d, want one more than %d: none stands for two messages", after.State.LastSeq, before.State.LastSeq)
				}
				look(1)
				if err := b.Ready(ctx); err != nil || b.State() != publish.StateOK {
					t.Errorf("Ready = %v, State = %s, want that all is well", err, b.State())
				}
				store(t, b, event(job.Finished, "1", "COMPLETED"))
			})
		}
	}
}

// What a bucket held cannot be made again, so it is named until the bucket is there again.
// Callbacks are stored meanwhile.
func TestABucketThatIsRemovedIsNamed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, bucket := range []string{publish.PayloadBucket, publish.TilesBucket} {
		for _, where := range []string{"embedded", "external"} {
			t.Run(bucket+" "+where, func(t *testing.T) {
				t.Parallel()
				b, _, look := guarded(t, where)
				js := publish.JetStream(b)
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
				store(t, b, event(job.Finished, "1", "COMPLETED"))
				restore()
				look(1)
				if err := b.Ready(ctx); err != nil || b.State() != publish.StateOK {
					t.Errorf("Ready = %v, State = %s, want that all is well once it is there again", err, b.State())
				}
			})
		}
	}
}

func infoOf(t *testing.T, b *publish.Bus, stream string) *jetstream.StreamInfo {
	t.Helper()
	s, err := publish.JetStream(b).Stream(t.Context(), stream)
	must(t, err)
	return s.CachedInfo()
}

// Without JOBS, or with less of it than was acknowledged, nobody knows which jobs have ended.
func TestWithoutJobsNothingIsAccepted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for what, c := range map[string]struct {
		do   func(t *testing.T, js jetstream.JetStream)
		undo func(t *testing.T, js jetstream.JetStream)
	}{
		"removed": {do: func(t *testing.T, js jetstream.JetStream) { must(t, js.DeleteStream(ctx, publish.JobsStream)) }},
		"made anew": {do: func(t *testing.T, js jetstream.JetStream) {
			s, err := js.Stream(ctx, publish.JobsStream)
			must(t, err)
			must(t, js.DeleteStream(ctx, publish.JobsStream))
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
				b, said, look := guarded(t, where)
				for _, id := range []string{"1", "2", "3"} {
					store(t, b, event(job.Finished, id, "COMPLETED"))
				}
				look(1)
				c.do(t, publish.JetStream(b))
				look(3)
				if b.State() != publish.StateStream {
					t.Errorf("State = %s, want stream", b.State())
				}
				if err := b.Ready(ctx); err == nil || !strings.Contains(err.Error(), publish.JobsStream) {
					t.Errorf("Ready = %v, want that JOBS is amiss", err)
				} else if c.undo == nil && strings.Contains(err.Error(), "mend --accept-loss") != (where == "embedded") {
					t.Errorf("Ready = %v, want what the next start needs", err)
				}
				for _, id := range []string{"1", "4"} {
					if _, err := b.Publish(ctx, event(job.Finished, id, "COMPLETED")); !errors.Is(err, publish.ErrUnavailable) {
						t.Errorf("Publish of %s = %v, want ErrUnavailable", id, err)
					}
				}
				if n := strings.Count(said.String(), "a stream is not as it must be"); n != 1 {
					t.Errorf("the log says it %d times, want once", n)
				}
				if c.undo == nil {
					return
				}
				c.undo(t, publish.JetStream(b))
				look(1)
				if err := b.Ready(ctx); err != nil || b.State() != publish.StateOK {
					t.Errorf("Ready = %v, State = %s, want that all is well", err, b.State())
				}
				store(t, b, event(job.Finished, "4", "COMPLETED"))
			})
		}
	}
}

func limit(t *testing.T, js jetstream.JetStream, bytes int64) {
	t.Helper()
	s, err := js.Stream(t.Context(), publish.JobsStream)
	must(t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = bytes
	_, err = js.UpdateStream(t.Context(), cfg)
	must(t, err)
}

// What an operator removes from JOBS is removed: a repeat makes its event again.
func TestWhatIsRemovedFromJobsIsNotRemembered(t *testing.T) {
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
				b, _, look := guarded(t, where)
				for _, id := range []string{"1", "2", "3"} {
					store(t, b, event(job.Finished, id, "COMPLETED"))
				}
				if got := store(t, b, event(job.Finished, "2", "COMPLETED")); !got.Existed {
					t.Fatal("a repeat was stored")
				}
				look(1)
				s, err := publish.JetStream(b).Stream(ctx, publish.JobsStream)
				must(t, err)
				must(t, remove(s))
				look(1)
				if got := store(t, b, event(job.Finished, "2", "COMPLETED")); got.Existed {
					t.Error("a repeat made no event")
				}
				if got := store(t, b, event(job.Finished, "2", "COMPLETED")); !got.Existed {
					t.Error("the next repeat was stored, too")
				}
				if b.State() != publish.StateOK {
					t.Errorf("State = %s, want ok", b.State())
				}
			})
		}
	}
}

// A job whose watch went with WATCH is watched again.
func TestTheWatchesOfARemovedStreamAreBegunAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, where := range []string{"embedded", "external"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			b, _, look := guarded(t, where)
			store(t, b, event(job.Submitted, "1", "CREATED"))
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
			must(t, publish.JetStream(b).DeleteStream(ctx, publish.WatchStream))
			look(3)
			must(t, <-put)
			if _, there, err := b.Watched(ctx, "demo", "1"); err != nil || !there {
				t.Errorf("the job is watched: %v, %v", there, err)
			}
		})
	}
}
