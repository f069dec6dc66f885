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
	"receiver/internal/publish"
)

// plague has another client of the account, with all its rights, delete, pause and change every
// consumer that it finds on a stream, until the test ends.
func plague(t *testing.T, s *somebodys, stream string) {
	t.Helper()
	js := s.jetstream()
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

// stock stores n messages, of which every tenth is a submission.
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
			<-js.PublishAsyncComplete() // the library takes so many at once and no more
		}
	}
	<-js.PublishAsyncComplete()
}

// counted reads a stream in every way that there is, and holds each against what it must give.
func counted(t *testing.T, b *publish.Bus, all int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, read := range map[string]func(yield func(publish.Message) error) error{
		"Range":   func(y func(publish.Message) error) error { return b.Range(ctx, publish.JobsStream, 1, uint64(all), y) },
		"Lines":   func(y func(publish.Message) error) error { return b.Lines(ctx, publish.JobsStream, 1, uint64(all), y) },
		"Headers": func(y func(publish.Message) error) error { return b.Headers(ctx, publish.JobsStream, y) },
		"From": func(y func(publish.Message) error) error {
			for m, err := range b.From(ctx, publish.JobsStream, publish.Position{Time: time.Now().Add(-time.Hour)}, true) {
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

// Whatever others of the account do to consumers, nothing that is read is left out.
func TestNobodyCutsAReadingShortByConsumers(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{})
	const all = 5000
	stock(t, s.jetstream(), all)
	plague(t, s, publish.JobsStream)
	for range 3 {
		counted(t, b, all)
	}
}

// A stream that takes no consumer any more is read all the same.
func TestReadingNeedsNoRoomForConsumers(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{})
	stock(t, s.jetstream(), 100)
	st, err := s.jetstream().Stream(t.Context(), publish.JobsStream)
	must(t, err)
	cfg := st.CachedInfo().Config
	cfg.MaxConsumers = 1
	_, err = s.jetstream().UpdateStream(t.Context(), cfg)
	must(t, err)
	_, err = st.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "one"})
	must(t, err)
	if _, err := st.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "two"}); err == nil {
		t.Fatal("the stream takes another consumer")
	}
	counted(t, b, 100)
}

// Who answers direct requests in the place of the stream, with less than it holds, is asked no
// more: what is left out is had from the leader.
func TestNobodyCutsAReadingShortByAnsweringForTheStream(t *testing.T) {
	t.Parallel()
	const all = 300
	t.Run("a mirror without most", func(t *testing.T) {
		t.Parallel()
		s := somebodysServer(t, 0)
		b := dial(t, s.external(), publish.Options{})
		stock(t, s.jetstream(), all)
		mirror, err := s.jetstream().CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "MINE", MirrorDirect: true, AllowDirect: true, Mirror: &jetstream.StreamSource{Name: publish.JobsStream},
		})
		must(t, err)
		eventually(t, "the mirror to be full", func() bool {
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
				"Nats-Time-Stamp": {time.Now().UTC().Format(time.RFC3339Nano)}, "Nats-Stream": {publish.JobsStream},
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
			s := somebodysServer(t, 0)
			b := dial(t, s.external(), publish.Options{})
			stock(t, s.jetstream(), all)
			_, err := s.nc.Subscribe("$JS.API.DIRECT.GET.JOBS", func(m *nats.Msg) {
				var asked struct {
					Seq int `json:"seq"`
				}
				_ = json.Unmarshal(m.Data, &asked)
				answer(func(h nats.Header) { _ = s.nc.PublishMsg(&nats.Msg{Subject: m.Reply, Header: h}) }, asked.Seq)
			})
			must(t, err)
			must(t, s.nc.Flush())
			counted(t, b, all)
		})
	}
}

// Who follows is told when the stream that it reads is another one.
func TestWhoFollowsIsToldOfAnotherStream(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{})
	stock(t, s.jetstream(), 10)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var failed error
	for m, err := range b.Messages(ctx, publish.Watch{Follow: true}) {
		if failed = err; err == nil && m.Sequence == 10 {
			js := s.jetstream()
			st, err := js.Stream(ctx, publish.JobsStream)
			must(t, err)
			must(t, js.DeleteStream(ctx, publish.JobsStream))
			_, err = js.CreateStream(ctx, st.CachedInfo().Config)
			must(t, err)
		}
	}
	if !errors.Is(failed, publish.ErrStalled) {
		t.Errorf("the reading ended with %v, want ErrStalled", failed)
	}
}

// A user who may not ask for several messages at once reads all the same, and waits for that once.
func TestReadingNeedsNoRightToAskForBatches(t *testing.T) {
	t.Parallel()
	s := somebodysServerWith(t, server.Options{Users: []*server.User{
		{Username: "all", Password: "correct-horse"},
		{Username: "some", Password: "battery-staple", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.DIRECT.GET.JOBS"}},
		}},
	}})
	address := strings.TrimPrefix(s.ns.ClientURL(), "nats://")
	all := dial(t, publish.External{URLs: []string{"nats://all:correct-horse@" + address}}, publish.Options{})
	stock(t, publish.JetStream(all), 300)
	counted(t, dial(t, publish.External{URLs: []string{"nats://some:battery-staple@" + address}}, publish.Options{}), 300)
}

// Nor is a job left out of the list of jobs.
func TestNobodyHidesJobsByAMirror(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b, other := dial(t, s.external(), publish.Options{}), dial(t, s.external(), publish.Options{})
	const all = 40
	for i := range all {
		store(t, other, event(job.Submitted, fmt.Sprint(i), "CREATED"))
	}
	mirror, err := s.jetstream().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "MINE", MirrorDirect: true, AllowDirect: true, Mirror: &jetstream.StreamSource{Name: publish.JobsStream},
	})
	must(t, err)
	eventually(t, "the mirror to be full", func() bool {
		info, err := mirror.Info(t.Context())
		return err == nil && info.State.Msgs == all
	})
	must(t, mirror.Purge(t.Context(), jetstream.WithPurgeSequence(all)))
	for range 8 { // whatever replica is next answers
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

// A body that was too large for its message is read though nobody can make a consumer of the bucket.
func TestALargeBodyNeedsNoRoomForConsumers(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{Timeout: time.Minute})
	e := large(event(job.Finished, "1", "COMPLETED"), 3<<20)
	store(t, b, e)
	st, err := s.jetstream().Stream(t.Context(), "OBJ_"+publish.PayloadBucket)
	must(t, err)
	cfg := st.CachedInfo().Config
	cfg.MaxConsumers = 1
	_, err = s.js.UpdateStream(t.Context(), cfg)
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
