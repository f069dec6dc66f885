package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"receiver/internal/publish/reader"
)

// alterConsumers lets another client of the account, with all permissions, delete, pause and change
// every consumer of a stream until the test ends.
func alterConsumers(t *testing.T, s *natstest.Server, stream string) {
	t.Helper()
	js := s.JetStream()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			st, err := js.Stream(ctx, stream)
			if err != nil {
				continue
			}
			for c := range st.ListConsumers(ctx).Info() {
				switch i % 3 {
				case 0:
					cfg := c.Config
					cfg.FilterSubject, cfg.FilterSubjects = "jobs.none", nil
					_, _ = st.UpdateConsumer(ctx, cfg)
				case 1:
					_, _ = st.PauseConsumer(ctx, c.Name, time.Now().AddDate(70, 0, 0))
				default:
					_ = st.DeleteConsumer(ctx, c.Name)
				}
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}

// stock stores n messages; every tenth is a submission.
func stock(t *testing.T, js jetstream.JetStream, n int) {
	t.Helper()
	for i := range n {
		kind := "word"
		if i%10 == 0 {
			kind = string(job.Submitted)
		}
		if _, err := js.PublishAsync(fmt.Sprintf("jobs.demo.%d.%s", i, kind), []byte("data")); err != nil {
			t.Fatal(err)
		}
		if i%500 == 499 {
			<-js.PublishAsyncComplete() // the library allows only so many at once
		}
	}
	<-js.PublishAsyncComplete()
}

// counted reads a stream in every way, and checks each result.
func counted(t *testing.T, b *publish.Store, all int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, read := range map[string]func(yield func(publish.Message) error) error{
		"Range": func(y func(publish.Message) error) error { return b.Range(ctx, conn.JobsStream, 1, uint64(all), y) },
		"Lines": func(y func(publish.Message) error) error { return b.Lines(ctx, conn.JobsStream, 1, uint64(all), y) },
		"From": func(y func(publish.Message) error) error {
			for m, err := range b.From(ctx, conn.JobsStream, publish.Position{Time: time.Now().Add(-time.Hour)}, true) {
				if err := errors.Join(err, y(m)); err != nil {
					return err
				}
			}
			return nil
		},
		"Messages followed": func(y func(publish.Message) error) error {
			for m, err := range b.Messages(ctx, publish.Watch{Follow: true}) {
				if err := errors.Join(err, y(m)); err != nil {
					return err
				}
				if m.Sequence == uint64(all) {
					return nil
				}
			}
			return ctx.Err()
		},
	} {
		next := uint64(1)
		err := read(func(m publish.Message) error {
			if m.Sequence != next {
				return fmt.Errorf("sequence %d came after %d", m.Sequence, next-1)
			}
			next++
			return nil
		})
		if err != nil || next != uint64(all)+1 {
			t.Errorf("%s gave %d messages, %v, want %d", name, next-1, err, all)
		}
	}
	n := 0
	for _, err := range b.Messages(ctx, publish.Watch{Subjects: []string{"jobs.*.*.submitted"}}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != (all+9)/10 {
		t.Errorf("Messages of a subject gave %d messages, want %d", n, (all+9)/10)
	}
}

// Another client of the account may change any consumer: reads stay complete.
func TestReadsAreCompleteDespiteAlteredConsumers(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	const all = 5000
	stock(t, s.JetStream(), all)
	alterConsumers(t, s, conn.JobsStream)
	for range 3 {
		counted(t, b, all)
	}
}

// A stream that has reached its limit of consumers can be read.
func TestReadsNeedNoConsumers(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	stock(t, s.JetStream(), 100)
	st, err := s.JetStream().Stream(t.Context(), conn.JobsStream)
	must(t, err)
	cfg := st.CachedInfo().Config
	cfg.MaxConsumers = 1
	_, err = s.JetStream().UpdateStream(t.Context(), cfg)
	must(t, err)
	_, err = st.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "one"})
	must(t, err)
	if _, err := st.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "two"}); err == nil {
		t.Fatal("the stream takes another consumer")
	}
	counted(t, b, 100)
}

// If a foreign client answers direct requests with fewer messages than the stream holds, the reader
// stops using direct requests and reads the missing messages from the leader.
func TestReadsAreCompleteDespiteForeignAnswers(t *testing.T) {
	t.Parallel()
	const all = 300
	t.Run("a mirror without most", func(t *testing.T) {
		t.Parallel()
		s := natstest.NewServer(t, 0)
		b := natstest.Dial(t, s.External(), conn.Options{})
		stock(t, s.JetStream(), all)
		mirror, err := s.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "MINE", MirrorDirect: true, AllowDirect: true, Mirror: &jetstream.StreamSource{Name: conn.JobsStream},
		})
		must(t, err)
		natstest.Eventually(t, "the mirror to be full", func() bool {
			info, err := mirror.Info(t.Context())
			return err == nil && info.State.Msgs == all
		})
		must(t, mirror.Purge(t.Context(), jetstream.WithPurgeSubject("jobs.demo.*.word")))
		for range 3 {
			counted(t, b, all)
		}
	})
	for what, answer := range map[string]func(reply func(nats.Header), from int){
		"that there is nothing": func(reply func(nats.Header), _ int) { reply(nats.Header{"Status": {"404"}}) },
		"that it is the end":    func(reply func(nats.Header), _ int) { reply(nats.Header{"Status": {"204"}}) },
		"one and the end": func(reply func(nats.Header), from int) {
			reply(nats.Header{
				"Nats-Subject": {fmt.Sprintf("jobs.demo.%d.word", from)}, "Nats-Sequence": {fmt.Sprint(from + 20)}, "Nats-Num-Pending": {"0"},
				"Nats-Time-Stamp": {time.Now().UTC().Format(time.RFC3339Nano)}, "Nats-Stream": {conn.JobsStream},
			})
			reply(nats.Header{"Status": {"204"}})
		},
		"nonsense": func(reply func(nats.Header), _ int) {
			reply(nats.Header{"Nats-Subject": {"x"}, "Nats-Sequence": {"18446744073709551616"}})
			reply(nats.Header{"Status": {"204"}})
		},
	} {
		t.Run("who says "+what, func(t *testing.T) {
			t.Parallel()
			s := natstest.NewServer(t, 0)
			b := natstest.Dial(t, s.External(), conn.Options{})
			stock(t, s.JetStream(), all)
			_, err := s.Conn.Subscribe("$JS.API.DIRECT.GET.JOBS", func(m *nats.Msg) {
				var asked struct {
					Seq int `json:"seq"`
				}
				_ = json.Unmarshal(m.Data, &asked)
				answer(func(h nats.Header) { _ = s.Conn.PublishMsg(&nats.Msg{Subject: m.Reply, Header: h}) }, asked.Seq)
			})
			must(t, err)
			must(t, s.Conn.Flush())
			counted(t, b, all)
		})
	}
}

// A follower gets an error when another stream replaces the stream that it reads.
func TestFollowingFailsWhenTheStreamIsReplaced(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	stock(t, s.JetStream(), 10)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var failed error
	for m, err := range b.Messages(ctx, publish.Watch{Follow: true}) {
		if failed = err; err == nil && m.Sequence == 10 {
			js := s.JetStream()
			st, err := js.Stream(ctx, conn.JobsStream)
			must(t, err)
			must(t, js.DeleteStream(ctx, conn.JobsStream))
			_, err = js.CreateStream(ctx, st.CachedInfo().Config)
			must(t, err)
		}
	}
	if !errors.Is(failed, reader.ErrStalled) {
		t.Errorf("the reading ended with %v, want ErrStalled", failed)
	}
}

// A user without the permission to request several messages at once can read. The reader waits for
// the refused request once only.
func TestReadsNeedNoPermissionForBatches(t *testing.T) {
	t.Parallel()
	s := natstest.NewServerWith(t, server.Options{Users: []*server.User{
		{Username: "all", Password: "correct-horse"},
		{Username: "some", Password: "battery-staple", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.DIRECT.GET.JOBS"}},
		}},
	}})
	address := strings.TrimPrefix(s.NATS.ClientURL(), "nats://")
	all := natstest.Dial(t, conn.External{URLs: []string{"nats://all:correct-horse@" + address}}, conn.Options{})
	stock(t, all.JetStream(), 300)
	counted(t, natstest.Dial(t, conn.External{URLs: []string{"nats://some:battery-staple@" + address}}, conn.Options{Timeout: 2 * time.Second}), 300)
}

// The list of jobs is complete although a mirror without most messages answers direct requests.
func TestPartialMirrorHidesNoJobs(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b, other := natstest.Dial(t, s.External(), conn.Options{}), natstest.Dial(t, s.External(), conn.Options{})
	const all = 40
	for i := range all {
		natstest.Store(t, other, natstest.Event(job.Submitted, fmt.Sprint(i), "CREATED"))
	}
	mirror, err := s.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "MINE", MirrorDirect: true, AllowDirect: true, Mirror: &jetstream.StreamSource{Name: conn.JobsStream},
	})
	must(t, err)
	natstest.Eventually(t, "the mirror to be full", func() bool {
		info, err := mirror.Info(t.Context())
		return err == nil && info.State.Msgs == all
	})
	must(t, mirror.Purge(t.Context(), jetstream.WithPurgeSequence(all)))
	for range 8 { // any replica may answer
		seen := uint64(0)
		for batch, err := range b.Briefs(t.Context(), 1, true) {
			must(t, err)
			for _, e := range batch {
				if e.Sequence > 0 {
					seen++
				}
			}
			if batch[len(batch)-1].Sequence == all {
				break
			}
		}
		if seen != all {
			t.Errorf("the list of jobs is told of %d events, want %d", seen, all)
		}
	}
}

// A body in the object store can be read although the bucket has reached its limit of consumers.
func TestLargeBodyIsReadWithoutConsumers(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{Timeout: time.Minute})
	e := natstest.Large(natstest.Event(job.Finished, "1", "COMPLETED"), 3<<20)
	natstest.Store(t, b, e)
	st, err := s.JetStream().Stream(t.Context(), "OBJ_"+conn.PayloadBucket)
	must(t, err)
	cfg := st.CachedInfo().Config
	cfg.MaxConsumers = 1
	_, err = s.JS.UpdateStream(t.Context(), cfg)
	must(t, err)
	_, err = st.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "one"})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for m, err := range b.Messages(ctx, publish.Watch{}) {
		must(t, err)
		if string(m.Data) != string(e.Data) || m.Lost {
			t.Errorf("the body is of %d bytes, want %d", len(m.Data), len(e.Data))
		}
	}
}
