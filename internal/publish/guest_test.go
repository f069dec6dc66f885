package publish_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// A guest is whoever connects to Server.URL without a name.

func TestAGuestReadsAndConsumes(t *testing.T) {
	s := start(t, t.TempDir())
	b := open(t, s)
	nc, js := guest(t, s)
	live, err := nc.SubscribeSync("jobs.>")
	if err != nil {
		t.Fatal(err)
	}
	flush(t, nc)
	want := store(t, b, event(job.Finished, "1", "COMPLETED"))
	store(t, b, event(job.Progress, "2", "RUNNING"))

	t.Run("as it happens", func(t *testing.T) {
		msg, err := live.NextMsg(time.Minute)
		if err != nil || msg.Subject != want.Subject() {
			t.Errorf("NextMsg = %v, %v, want one on %s", msg, err, want.Subject())
		}
	})
	t.Run("by durable consumer", func(t *testing.T) {
		c, err := js.CreateOrUpdateConsumer(t.Context(), publish.JobsStream, jetstream.ConsumerConfig{
			Durable: "mine", FilterSubject: "jobs.*.*.finished", AckPolicy: jetstream.AckExplicitPolicy,
		})
		if err != nil {
			t.Fatal(err)
		}
		msg, err := c.Next(jetstream.FetchMaxWait(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(msg.Data()); got != string(want.Data) || msg.Headers().Get("ce-id") != want.ID() {
			t.Errorf("got %s %s, want %s %s", msg.Headers().Get("ce-id"), got, want.ID(), want.Data)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Error(err)
		}
		info, err := c.Info(t.Context())
		if err != nil || info.AckFloor.Stream != want.Sequence || info.NumPending != 0 {
			t.Errorf("consumer after the acknowledgement: %+v, %v, want the floor at %d", info, err, want.Sequence)
		}
	})
	t.Run("in order", func(t *testing.T) {
		c, err := js.OrderedConsumer(t.Context(), publish.JobsStream, jetstream.OrderedConsumerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{want.Subject(), "jobs.demo.2.progress"} {
			if msg, err := c.Next(jetstream.FetchMaxWait(time.Minute)); err != nil || msg.Subject() != subject {
				t.Errorf("Next = %v, %v, want %s", msg, err, subject)
			}
		}
	})
	t.Run("attempts, one by one", func(t *testing.T) {
		a := job.Attempt{Source: "demo", Verdict: "mismatch", Receipt: job.Receipt{Received: time.Now()}, Body: []byte("{}"), Size: 2}
		if err := b.Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), publish.AttemptsStream)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().State.Msgs; got != 1 {
			t.Errorf("%d attempts, want 1", got)
		}
		if msg, err := stream.GetLastMsgForSubject(t.Context(), a.Subject()); err != nil || string(msg.Data) != "{}" {
			t.Errorf("GetLastMsgForSubject(%s) = %+v, %v, want its body", a.Subject(), msg, err)
		}
		if msg, err := stream.GetMsg(t.Context(), 1); err != nil || msg.Subject != a.Subject() {
			t.Errorf("GetMsg(1) = %+v, %v, want %s", msg, err, a.Subject())
		}
	})
	t.Run("bodies in the object store", func(t *testing.T) {
		big := store(t, b, largest(event(job.Finished, "3", "COMPLETED")))
		stream, err := js.Stream(t.Context(), publish.JobsStream)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := stream.GetMsg(t.Context(), big.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(msg.Header.Get("receiver-data-ref"), "nats-object:PAYLOADS/")
		if !ok || len(msg.Data) > 0 {
			t.Fatalf("the event has %d bytes and the headers %v, want a reference to its body", len(msg.Data), msg.Header)
		}
		bodies, err := js.Stream(t.Context(), "OBJ_PAYLOADS")
		if err != nil {
			t.Fatal(err)
		}
		bucket, err := js.ObjectStore(t.Context(), publish.PayloadBucket)
		if err != nil {
			t.Fatal(err)
		}
		info, err := bucket.GetInfo(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for next := uint64(1); len(got) < len(big.Data); {
			chunk, err := bodies.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject("$O.PAYLOADS.C."+info.NUID))
			if err != nil {
				t.Fatalf("after %d of %d bytes: %v", len(got), len(big.Data), err)
			}
			got, next = append(got, chunk.Data...), chunk.Sequence+1
		}
		if !bytes.Equal(got, big.Data) {
			t.Errorf("the body has other bytes than were stored")
		}
	})
	t.Run("one by its subject", func(t *testing.T) {
		stream, err := js.Stream(t.Context(), publish.JobsStream)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := stream.GetLastMsgForSubject(t.Context(), want.Subject())
		if err != nil || msg.Sequence != want.Sequence {
			t.Errorf("GetLastMsgForSubject = %+v, %v, want sequence %d", msg, err, want.Sequence)
		}
	})
}

// TestAGuestMakesNothing tries what a forged event would be delivered from, and the request that names a consumer in
// its body only.
func TestAGuestMakesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	open(t, s)
	nc, _ := guest(t, s)
	denied := make(chan error, 8)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })
	for _, subject := range []string{
		"$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.CREATE.KV_mine", "$JS.API.STREAM.UPDATE.MINE", "$JS.API.STREAM.RESTORE.MINE",
		"$JS.API.CONSUMER.CREATE.JOBS", "$JS.receiver.API.CONSUMER.CREATE.JOBS",
	} {
		body := []byte(`{"name":"MINE","subjects":["mine.>"],"stream_name":"JOBS","config":{"durable_name":"` + publish.ReactConsumer + `"}}`)
		if err := nc.PublishRequest(subject, nats.NewInbox(), body); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-denied:
			_, verb, _ := strings.Cut(subject, "API.")
			if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), verb) {
				t.Errorf("%s: told %v, want a permissions violation", subject, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s: told nothing, want a permissions violation", subject)
		}
	}
}

func TestAGuestCannotChangeWhatIsOurs(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	b := open(t, s)
	store(t, b, largest(event(job.Finished, "1", "COMPLETED")))
	put(t, b, "1")
	if err := b.Record(t.Context(), attempt("mismatch")); err != nil {
		t.Fatal(err)
	}
	nc, js := guest(t, s)
	denied := make(chan error, 8)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })
	for stream, subject := range map[string]string{
		publish.JobsStream: "jobs.demo.2.finished", publish.AttemptsStream: "attempts.demo.mismatch", publish.WatchStream: "watch.demo.2",
		"OBJ_PAYLOADS": "$O.PAYLOADS.C.x",
	} {
		for what, try := range map[string]func(context.Context) error{
			"delete": func(ctx context.Context) error { return js.DeleteStream(ctx, stream) },
			"purge":  func(ctx context.Context) error { return ask(ctx, nc, "$JS.API.STREAM.PURGE."+stream, `{}`) },
			"delete a message of": func(ctx context.Context) error {
				return ask(ctx, nc, "$JS.API.STREAM.MSG.DELETE."+stream, `{"seq":1}`)
			},
			"update": func(ctx context.Context) error {
				_, err := js.UpdateStream(ctx, jetstream.StreamConfig{Name: stream, MaxAge: time.Second})
				return err
			},
			"create": func(ctx context.Context) error {
				_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{"any"}})
				return err
			},
			"restore":    func(ctx context.Context) error { return ask(ctx, nc, "$JS.API.STREAM.RESTORE."+stream, `{}`) },
			"publish to": func(ctx context.Context) error { _, err := js.Publish(ctx, subject, nil); return err },
		} {
			// What is denied is not answered, and the denial comes before the flush is.
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			if err := try(ctx); err == nil {
				t.Errorf("a guest could %s %s", what, stream)
			}
			cancel()
			flush(t, nc)
			select {
			case err := <-denied:
				if !errors.Is(err, nats.ErrPermissionViolation) {
					t.Errorf("%s %s: told %v, want a permissions violation", what, stream, err)
				}
			case <-time.After(time.Minute):
				t.Errorf("%s %s: told nothing, want a permissions violation", what, stream)
			}
		}
	}
	for _, stream := range []string{publish.JobsStream, publish.AttemptsStream} {
		if got := count(t, b, stream); got != 1 {
			t.Errorf("%s holds %d messages after all, want 1", stream, got)
		}
	}
	if events, err := b.Job(t.Context(), "demo", "1"); err != nil || len(events) != 1 || events[0].Lost {
		t.Errorf("Job = %+v, %v after all, want the event with its body", events, err)
	}
	if _, ok, err := b.Watched(t.Context(), "demo", "1"); !ok || err != nil {
		t.Errorf("Watched = %v, %v after all, want the watch", ok, err)
	}
}

// TestAGuestCannotTakeOurWork tries the consumer by which replicas share new submissions.
func TestAGuestCannotTakeOurWork(t *testing.T) {
	s := start(t, t.TempDir())
	b := open(t, s)
	nc, js := guest(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	got, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- b.React(ctx, 1, time.Second, func(_ context.Context, e job.Stored, _ uint64) time.Duration {
			got <- e.Job.ID
			return 0
		})
	}()
	store(t, b, event(job.Submitted, "1", "CREATED"))
	if id := <-got; id != "1" {
		t.Fatalf("React gave job %s, want 1", id)
	}
	const ours = publish.JobsStream + "." + publish.ReactConsumer
	for _, request := range []string{
		"$JS.API.CONSUMER.DELETE." + ours,
		"$JS.API.CONSUMER.MSG.NEXT." + ours,
		"$JS.API.CONSUMER.PAUSE." + ours,
		"$JS.receiver.API.CONSUMER.DELETE." + ours,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if answer, err := nc.RequestWithContext(ctx, request, []byte(`{}`)); err == nil && len(answer.Data) > 0 {
			t.Errorf("%s was answered %s", request, answer.Data)
		}
		cancel()
	}
	short, done := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer done()
	if _, err := js.CreateOrUpdateConsumer(short, publish.JobsStream, jetstream.ConsumerConfig{Durable: publish.ReactConsumer, FilterSubject: "jobs.none"}); err == nil {
		t.Error("a guest could change our consumer")
	}
	store(t, b, event(job.Submitted, "2", "CREATED"))
	select {
	case id := <-got:
		if id != "2" {
			t.Errorf("React gave job %s, want 2", id)
		}
	case <-time.After(time.Minute):
		t.Error("a guest could take our consumer away")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("React = %v, want the context's error", err)
	}
}

// TestAGuestCannotForge goes the ways around the denied subjects: a guest has the
// server itself send a message of its choice to the subject of an event.
func TestAGuestCannotForge(t *testing.T) {
	s := start(t, t.TempDir())
	b := open(t, s)
	store(t, b, largest(event(job.Finished, "1", "COMPLETED"))) // its body is in the object store
	nc, js := guest(t, s)
	const subject = "jobs.demo.9.finished"
	for what, try := range map[string]func() error{
		"as the answer to a question about JOBS": func() error { return nc.PublishRequest("$JS.API.STREAM.INFO.JOBS", subject, nil) },
		"as the answer to an acknowledgement": func() error {
			return nc.PublishRequest("$JS.ACK.JOBS.none.1.1.1.1.0", subject, []byte("+ACK"))
		},
		"as what a consumer of JOBS delivers": func() error {
			_, err := js.CreatePushConsumer(t.Context(), publish.JobsStream, jetstream.ConsumerConfig{DeliverSubject: subject})
			if err == nil {
				return errors.New("JOBS may be delivered into itself")
			}
			return nil
		},
		"as what a consumer of the bodies delivers": func() error {
			_, err := js.CreatePushConsumer(t.Context(), "OBJ_PAYLOADS", jetstream.ConsumerConfig{DeliverSubject: subject})
			if err == nil {
				return errors.New("bodies may be delivered into JOBS")
			}
			return nil
		},
		"as the answer to a read of a body": func() error {
			return nc.PublishRequest("$JS.API.DIRECT.GET.OBJ_PAYLOADS", subject, []byte(`{"seq":1}`))
		},
	} {
		if err := try(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// When the server has answered these, it has dealt with what came before them.
	if _, err := js.Stream(t.Context(), publish.JobsStream); err != nil {
		t.Error(err)
	}
	store(t, b, event(job.Finished, "1", "COMPLETED"))
	for m, err := range b.Messages(t.Context(), publish.Watch{}) {
		if err != nil || m.Subject != "jobs.demo.1.finished" {
			t.Errorf("JOBS holds %s %s %v, which a guest made", m.Subject, m.Data, err)
		}
	}
}

func guest(t *testing.T, s *publish.Server) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(s.URL(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// largest fills the event's body up to what the embedded server takes without its headers.
func largest(e job.Event) job.Event {
	e.Data = append(e.Data, bytes.Repeat([]byte(" "), 8<<20-len(e.Data))...)
	return e
}

// ask makes a request of JetStream; only a refusal is an error.
func ask(ctx context.Context, nc *nats.Conn, subject, body string) error {
	_, err := nc.RequestWithContext(ctx, subject, []byte(body))
	return err
}

func flush(t *testing.T, nc *nats.Conn) {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, b *publish.Bus, stream string) (n int) {
	t.Helper()
	for _, err := range b.Messages(t.Context(), publish.Watch{Stream: stream}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func store(t *testing.T, b *publish.Bus, e job.Event) job.Stored {
	t.Helper()
	got, err := b.Publish(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func attempt(verdict string) job.Attempt {
	body := []byte("not for us")
	return job.Attempt{
		Source: "demo", Verdict: verdict, Receipt: job.Receipt{Received: time.Now()},
		Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body),
	}
}
