package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// alterations are what others who share the account can do to a consumer of ours.
var alterations = map[string]func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error{
	"removed": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		return js.DeleteConsumer(ctx, c.Stream, c.Name)
	},
	"paused": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		_, err := js.PauseConsumer(ctx, c.Stream, c.Name, time.Now().AddDate(70, 0, 0))
		return err
	},
	"filtered": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		cfg := c.Config
		cfg.FilterSubject, cfg.FilterSubjects = strings.ToLower(c.Stream)+".none", nil
		_, err := js.UpdateConsumer(ctx, c.Stream, cfg)
		return err
	},
	"filtered by the legacy request": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		cfg := c.Config
		cfg.FilterSubject, cfg.FilterSubjects = strings.ToLower(c.Stream)+".none", nil
		body, err := json.Marshal(map[string]any{"stream_name": c.Stream, "config": cfg})
		if err == nil {
			_, err = js.Conn().RequestWithContext(ctx, "$JS.API.CONSUMER.DURABLE.CREATE."+c.Stream+"."+c.Name, body)
		}
		return err
	},
	"slowed": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		cfg := c.Config
		cfg.MaxAckPending = 1
		_, err := js.UpdateConsumer(ctx, c.Stream, cfg)
		return err
	},
	"limited in deliveries": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		cfg := c.Config
		cfg.MaxDeliver = 1
		_, err := js.UpdateConsumer(ctx, c.Stream, cfg)
		return err
	},
	"made to go by itself": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		cfg := c.Config
		cfg.InactiveThreshold = time.Hour
		_, err := js.UpdateConsumer(ctx, c.Stream, cfg)
		return err
	},
	"turned to push": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		if err := js.DeleteConsumer(ctx, c.Stream, c.Name); err != nil {
			return err
		}
		_, err := js.CreateOrUpdatePushConsumer(ctx, c.Stream, jetstream.ConsumerConfig{
			Durable: c.Name, DeliverSubject: "somewhere", AckPolicy: jetstream.AckExplicitPolicy,
		})
		return err
	},
	"made anew, from the end": func(ctx context.Context, js jetstream.JetStream, c *jetstream.ConsumerInfo) error {
		cfg := c.Config
		cfg.DeliverPolicy, cfg.MaxAckPending = jetstream.DeliverNewPolicy, 0
		if err := js.DeleteConsumer(ctx, c.Stream, c.Name); err != nil {
			return err
		}
		for {
			_, err := js.CreateConsumer(ctx, c.Stream, cfg)
			if !errors.Is(err, jetstream.ErrConsumerExists) { // we may have been faster
				return err
			}
			if err := js.DeleteConsumer(ctx, c.Stream, c.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return err
			}
		}
	},
}

// reactTo hands submissions to got until the test ends.
func reactTo(t *testing.T, b *publish.Bus, got chan<- string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := b.React(ctx, 1, time.Minute, func(_ context.Context, e job.Stored, _ uint64) time.Duration {
				got <- e.Job.ID
				return 0
			})
			if ctx.Err() == nil {
				t.Log(err)
			}
			_ = publish.Pause(ctx)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// await returns when that job has come.
func await(t *testing.T, got <-chan string, want string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case id := <-got:
			if id == want {
				return
			}
		case <-late:
			t.Fatalf("job %s was not handed out", want)
		}
	}
}

// An altered consumer of ours is seen at the next look, said, counted, and made anew; what was
// submitted meanwhile is handed out.
func TestAnAlteredConsumerIsMadeAnew(t *testing.T) {
	t.Parallel()
	for what, alter := range alterations {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			b, said, look := guarded(t, "external")
			js := publish.JetStream(b)
			got := make(chan string, 1000)
			reactTo(t, b, got)
			store(t, b, event(job.Submitted, "1", "CREATED"))
			await(t, got, "1")
			look(1)
			must(t, b.Ready(ctx))
			c, err := js.Consumer(ctx, publish.JobsStream, publish.ReactConsumer)
			must(t, err)
			must(t, alter(ctx, js, c.CachedInfo()))
			store(t, b, event(job.Submitted, "2", "CREATED"))
			if what != "removed" && what != "turned to push" && what != "made anew, from the end" { // the use ends by itself then
				look(1)
				if err := b.Ready(ctx); err == nil || !strings.Contains(err.Error(), publish.ReactConsumer) {
					t.Errorf("Ready = %v, want that the consumer was altered", err)
				}
			}
			await(t, got, "2")
			eventually(t, "all to be well", func() bool {
				look(1)
				return b.Ready(ctx) == nil
			})
			if what != "removed" && what != "made anew, from the end" && (b.Restored() == 0 || !strings.Contains(said.String(), "altered by somebody")) {
				t.Errorf("restored %d consumers, and said %s", b.Restored(), said)
			}
			now, err := js.Consumer(ctx, publish.JobsStream, publish.ReactConsumer)
			must(t, err)
			if info := now.CachedInfo(); info.Paused || info.Config.MaxAckPending != -1 || info.Config.DeliverPolicy != jetstream.DeliverAllPolicy {
				t.Errorf("the consumer is %+v", info.Config)
			}
		})
	}
}

// What was altered while no receiver ran keeps none from its work.
func TestAConsumerThatWasAlteredBeforeIsMadeAnew(t *testing.T) {
	t.Parallel()
	for what, alter := range alterations {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b, _, _ := guarded(t, "external")
			js := publish.JetStream(b)
			got := make(chan string, 1000)
			stop := reactTo(t, b, got)
			store(t, b, event(job.Submitted, "1", "CREATED"))
			await(t, got, "1")
			stop()
			c, err := js.Consumer(t.Context(), publish.JobsStream, publish.ReactConsumer)
			must(t, err)
			must(t, alter(t.Context(), js, c.CachedInfo()))
			store(t, b, event(job.Submitted, "2", "CREATED"))
			reactTo(t, b, got)
			await(t, got, "2")
		})
	}
}
