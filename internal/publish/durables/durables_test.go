package durables_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
)

// remembering is a server that still writes the position of a removed consumer when another one
// of its name is made, as nats-server 2.15 does once in many thousand times.
type remembering struct {
	jetstream.JetStream
	times int // how often it does
}

func (r *remembering) CreateConsumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	c, err := r.JetStream.CreateConsumer(ctx, stream, cfg)
	return r.moved(ctx, c, err)
}

func (r *remembering) CreateOrUpdateConsumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	c, err := r.JetStream.CreateOrUpdateConsumer(ctx, stream, cfg)
	return r.moved(ctx, c, err)
}

// moved puts a consumer behind its first message, as the removed one was.
func (r *remembering) moved(ctx context.Context, c jetstream.Consumer, err error) (jetstream.Consumer, error) {
	if err != nil || r.times == 0 {
		return c, err
	}
	r.times--
	m, err := c.Next()
	if err == nil {
		err = m.DoubleAck(ctx)
	}
	if err == nil {
		_, err = c.Info(ctx) // c knows it then
	}
	return c, err
}

// A durable that is made begins at the first message, or is not made.
func TestAMadeDurableBeginsAtTheFirstMessage(t *testing.T) {
	t.Parallel()
	bound := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, natstest.LongTimeout)
	}
	for name, make := range map[string]func(context.Context, *durables.Set) error{
		"added": func(ctx context.Context, s *durables.Set) error {
			_, err := s.AddDurable(ctx, durables.Durable{Name: "theirs", AckWait: time.Minute, MaxDeliver: -1, MaxAckPending: -1})
			return err
		},
		"begun again": func(ctx context.Context, s *durables.Set) error { return s.Rewind(ctx, conn.JobsStream, "theirs") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for times, want := range map[int]bool{0: true, 1: true, 4: true, 5: false} {
				server := natstest.NewServer(t, 0)
				b := natstest.Dial(t, server.External(), conn.Options{})
				natstest.Store(t, b, natstest.Event(job.Submitted, "1", "CREATED"))
				js := &remembering{JetStream: server.JetStream()}
				s := durables.New(js, bound, func() bool { return false }, zerolog.Nop())
				if name != "added" {
					js.times = 1
					if _, err := js.CreateConsumer(t.Context(), conn.JobsStream, jetstream.ConsumerConfig{Durable: "theirs", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
						t.Fatal(err)
					}
				}
				js.times = times
				if err := make(t.Context(), s); (err == nil) != want {
					t.Errorf("with %d positions of a removed one: %v", times, err)
				}
				if !want {
					continue
				}
				if p, err := s.Durable(t.Context(), "theirs"); err != nil || p.Pending != 1 {
					t.Errorf("with %d positions of a removed one: %+v, %v, want the one message pending", times, p, err)
				}
			}
		})
	}
}

// One that is not there is no error: who uses it next makes it.
func TestRewindOfNothing(t *testing.T) {
	t.Parallel()
	b := natstest.Dial(t, natstest.NewServer(t, 0).External(), conn.Options{})
	if err := b.Rewind(t.Context(), conn.JobsStream, "none"); err != nil {
		t.Error(err)
	}
}
