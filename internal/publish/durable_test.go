package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
)

// another is another client of the receiver's account, with all permissions.
type another struct {
	jetstream.JetStream
	c *jetstream.ConsumerInfo // of the receiver's consumer
}

// ask sends a request, and returns the error in the server's answer.
func (a another) ask(ctx context.Context, subject string, body any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	answer, err := a.Conn().RequestWithContext(ctx, "$JS.API."+subject, text)
	if err != nil {
		return err
	}
	var said struct{ Error *jetstream.APIError }
	if err := json.Unmarshal(answer.Data, &said); err != nil || said.Error == nil {
		return err
	}
	return said.Error
}

// deaf is the request for a consumer with the name of the receiver's and a filter that matches no
// message.
func (a another) deaf(durable string) any {
	cfg := a.c.Config
	cfg.Durable, cfg.Name, cfg.FilterSubject, cfg.FilterSubjects = durable, a.c.Name, "jobs.none", nil
	return map[string]any{"stream_name": a.c.Stream, "config": cfg}
}

func (a another) update(ctx context.Context, change func(*jetstream.ConsumerConfig)) error {
	cfg := a.c.Config
	change(&cfg)
	_, err := a.UpdateConsumer(ctx, a.c.Stream, cfg)
	return err
}

// alterations are the changes that another client of the account can make to the receiver's
// consumer.
var alterations = map[string]func(context.Context, another) error{
	"removed": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.DELETE.JOBS."+a.c.Name, nil)
	},
	"paused": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.PAUSE.JOBS."+a.c.Name, map[string]any{"pause_until": time.Now().AddDate(70, 0, 0)})
	},
	"filtered": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.CREATE.JOBS."+a.c.Name, a.deaf(a.c.Name))
	},
	"filtered, with the filter in the subject": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.CREATE.JOBS."+a.c.Name+".jobs.none", a.deaf(a.c.Name))
	},
	"filtered by the request for durables": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.DURABLE.CREATE.JOBS."+a.c.Name, a.deaf(a.c.Name))
	},
	"filtered by the oldest request, with the name in the body": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.CREATE.JOBS", a.deaf(""))
	},
	"slowed": func(ctx context.Context, a another) error {
		return a.update(ctx, func(cfg *jetstream.ConsumerConfig) { cfg.MaxAckPending = 1 })
	},
	"limited in deliveries": func(ctx context.Context, a another) error {
		return a.update(ctx, func(cfg *jetstream.ConsumerConfig) { cfg.MaxDeliver = 1 })
	},
	"made to go by itself": func(ctx context.Context, a another) error {
		return a.update(ctx, func(cfg *jetstream.ConsumerConfig) { cfg.InactiveThreshold = time.Hour })
	},
	"given to a group": func(ctx context.Context, a another) error {
		return a.update(ctx, func(cfg *jetstream.ConsumerConfig) {
			cfg.PriorityPolicy, cfg.PriorityGroups, cfg.PinnedTTL = jetstream.PriorityPolicyPinned, []string{"mine"}, time.Hour
		})
	},
	"put behind the end": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.RESET.JOBS."+a.c.Name, map[string]any{"seq": uint64(1) << 60})
	},
	"put past what comes next": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.RESET.JOBS."+a.c.Name, map[string]any{"seq": a.c.Delivered.Stream + 2})
	},
	"turned to push": func(ctx context.Context, a another) error {
		return a.anew(ctx, func() error {
			_, err := a.CreateOrUpdatePushConsumer(ctx, a.c.Stream, jetstream.ConsumerConfig{
				Durable: a.c.Name, DeliverSubject: "somewhere", AckPolicy: jetstream.AckExplicitPolicy,
			})
			return err
		})
	},
	"made anew, from the end": func(ctx context.Context, a another) error {
		cfg := a.c.Config
		cfg.DeliverPolicy, cfg.MaxAckPending = jetstream.DeliverNewPolicy, 0
		return a.anew(ctx, func() error {
			_, err := a.CreateConsumer(ctx, a.c.Stream, cfg)
			return err
		})
	},
}

// anew replaces the receiver's consumer. It repeats that for as long as the receiver is faster.
func (a another) anew(ctx context.Context, create func() error) error {
	const pullStaysPull jetstream.ErrorCode = 10012
	for {
		if err := a.DeleteConsumer(ctx, a.c.Stream, a.c.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
		err := create()
		var refused *jetstream.APIError
		if !errors.Is(err, jetstream.ErrConsumerExists) && (!errors.As(err, &refused) || refused.ErrorCode != pullStaysPull) {
			return err
		}
	}
}

// harmless are requests about a consumer that take no message from it, whatever the server answers.
var harmless = map[string]func(context.Context, another) error{
	"unpinned": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.UNPIN.JOBS."+a.c.Name, map[string]any{"group": "mine"})
	},
	"told to have another leader": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.LEADER.STEPDOWN.JOBS."+a.c.Name, nil)
	},
	"taken from a server": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.PEER.REMOVE.JOBS."+a.c.Name, map[string]any{"peer": "mine"})
	},
	"reset to where it is": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.RESET.JOBS."+a.c.Name, struct{}{})
	},
	"reset to its beginning": func(ctx context.Context, a another) error {
		return a.ask(ctx, "CONSUMER.RESET.JOBS."+a.c.Name, map[string]any{"seq": 1})
	},
}

// shared is a receiver on a foreign server, whose account has another user, too.
type shared struct {
	*publish.Store
	said  *natstest.Logs
	look  func()
	other jetstream.JetStream
}

func inSharedAccount(t *testing.T) shared {
	t.Helper()
	s := natstest.NewServerWith(t, server.Options{Users: []*server.User{
		{Username: "receiver", Password: "correct-horse"}, {Username: "other", Password: "battery-staple"},
	}})
	said := &natstest.Logs{}
	address := strings.TrimPrefix(s.NATS.ClientURL(), "nats://")
	b := natstest.Dial(t, conn.External{URLs: []string{"nats://receiver:correct-horse@" + address}},
		conn.Options{Log: said.Logger(), Timeout: time.Minute})
	nc, err := nats.Connect("nats://other:battery-staple@" + address)
	must(t, err)
	t.Cleanup(nc.Close)
	other, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	must(t, err)
	once := publish.Guard(b)
	return shared{b, said, func() { once(t.Context()) }, other}
}

// consumer returns the receiver's consumer, as the other user sees it.
func (s shared) consumer(t *testing.T) another {
	t.Helper()
	c, err := s.other.Consumer(t.Context(), conn.JobsStream, durables.ReactConsumer)
	must(t, err)
	return another{s.other, c.CachedInfo()}
}

// reactTo hands submissions to got until the test ends.
func reactTo(t *testing.T, b *publish.Store, got chan<- string) (stop func()) {
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

// await returns when that job was handed out.
func await(t *testing.T, got <-chan string, want string) {
	t.Helper()
	late := time.After(time.Minute)
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

// The next check finds an altered consumer of the receiver, logs, counts and reports it, and
// creates it anew. Jobs that were submitted meanwhile are handed out.
func TestAlteredConsumerIsRestored(t *testing.T) {
	t.Parallel()
	for what, alter := range alterations {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s := inSharedAccount(t)
			got := make(chan string, 1000)
			reactTo(t, s.Store, got)
			natstest.Store(t, s.Store, natstest.Event(job.Submitted, "1", "CREATED"))
			await(t, got, "1")
			s.look()
			must(t, s.Ready(ctx))
			must(t, alter(ctx, s.consumer(t)))
			natstest.Store(t, s.Store, natstest.Event(job.Submitted, "2", "CREATED"))
			natstest.Eventually(t, "Ready to name the consumer", func() bool {
				s.look()
				err := s.Ready(ctx)
				return err != nil && strings.Contains(err.Error(), durables.ReactConsumer)
			})
			await(t, got, "2")
			natstest.Eventually(t, "all to be well", func() bool {
				s.look()
				return s.Ready(ctx) == nil
			})
			if s.Restored() == 0 || !strings.Contains(s.said.String(), `"level":"error","stream":"JOBS","consumer":"receiver-react","difference":`) {
				t.Errorf("restored %d consumers, and said %s", s.Restored(), s.said)
			}
			if info := s.consumer(t).c; info.Paused || info.Config.MaxAckPending != -1 || info.Config.DeliverPolicy != jetstream.DeliverAllPolicy {
				t.Errorf("the consumer is %+v", info.Config)
			}
			natstest.Store(t, s.Store, natstest.Event(job.Submitted, "3", "CREATED"))
			await(t, got, "3")
		})
	}
}

// A request that takes no message from the consumer is no alteration.
func TestHarmlessRequestsRaiseNoAlarm(t *testing.T) {
	t.Parallel()
	for what, ask := range harmless {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := inSharedAccount(t)
			got := make(chan string, 1000)
			reactTo(t, s.Store, got)
			natstest.Store(t, s.Store, natstest.Event(job.Submitted, "1", "CREATED"))
			await(t, got, "1")
			s.look()
			t.Logf("the server says %v", ask(t.Context(), s.consumer(t)))
			natstest.Store(t, s.Store, natstest.Event(job.Submitted, "2", "CREATED"))
			await(t, got, "2")
			s.look()
			if err := s.Ready(t.Context()); err != nil || s.Restored() != 0 {
				t.Errorf("Ready = %v, with %d consumers restored", err, s.Restored())
			}
		})
	}
}

// A consumer that was altered while no receiver ran hands out work again when one starts.
func TestConsumerAlteredWhileStoppedIsRestored(t *testing.T) {
	t.Parallel()
	for what, alter := range alterations {
		if what == "put past what comes next" {
			continue // as if the message had been handled; the receiver cannot know that
		}
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := inSharedAccount(t)
			got := make(chan string, 1000)
			stop := reactTo(t, s.Store, got)
			natstest.Store(t, s.Store, natstest.Event(job.Submitted, "1", "CREATED"))
			await(t, got, "1")
			stop()
			must(t, alter(t.Context(), s.consumer(t)))
			natstest.Store(t, s.Store, natstest.Event(job.Submitted, "2", "CREATED"))
			reactTo(t, s.Store, got)
			await(t, got, "2")
		})
	}
}
