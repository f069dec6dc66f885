package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestMessagesGivesStoredMessages(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i := range 5 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	var middle time.Time
	for m, err := range b.Messages(t.Context(), publish.Watch{}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Sequence == 3 {
			middle = m.Time
		}
	}
	for _, tt := range []struct {
		name  string
		watch publish.Watch
		want  []uint64
	}{
		{"all", publish.Watch{}, []uint64{1, 2, 3, 4, 5}},
		{"of one subject", publish.Watch{Subjects: []string{"jobs.demo.2.finished"}}, []uint64{3}},
		{"of several", publish.Watch{Subjects: []string{"jobs.demo.4.*", "jobs.demo.0.*"}}, []uint64{1, 5}},
		{"of a subject without any", publish.Watch{Subjects: []string{"jobs.other.>"}}, nil},
		{"of a stream without any", publish.Watch{Stream: conn.AttemptsStream}, nil},
		{"of the stream of the subject", publish.Watch{Subjects: []string{"attempts.>"}}, nil},
		{"since the third", publish.Watch{Since: middle}, []uint64{3, 4, 5}},
		{"since later", publish.Watch{Since: time.Now().Add(time.Hour)}, nil},
	} {
		var got []uint64
		for m, err := range b.Messages(t.Context(), tt.watch) {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			got = append(got, m.Sequence)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: sequences %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMessagesEndsAtTheEndAtTheCall(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	natstest.Store(t, b, natstest.Event(job.Finished, "0", "COMPLETED"))
	natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	n := 0
	for m, err := range b.Messages(t.Context(), publish.Watch{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint("more", n), "COMPLETED"))
		if m.Sequence > 2 {
			t.Fatalf("gave sequence %d, which came after the call", m.Sequence)
		}
	}
	if n != 2 {
		t.Errorf("gave %d messages, want the 2 that were there", n)
	}
}

// Under a flood ATTEMPTS drops its oldest messages before a slow reader has read them.
func TestMessagesEndsWhenTheRestIsRemoved(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	js := s.JetStream()
	for i := range 6000 { // more than a reader requests at once
		if _, err := js.PublishAsync("attempts.demo.mismatch", nil); err != nil {
			t.Fatal(err)
		}
		if i%500 == 499 {
			<-js.PublishAsyncComplete() // the library allows only so many at once
		}
	}
	<-js.PublishAsyncComplete()
	stream, err := js.Stream(t.Context(), conn.AttemptsStream)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n := 0
	for _, err := range b.Messages(ctx, publish.Watch{Stream: conn.AttemptsStream}) {
		if err != nil {
			t.Fatalf("after %d messages: %v", n, err)
		}
		if n++; n == 1 {
			if err := stream.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n == 0 || n >= 6000 {
		t.Errorf("gave %d messages, want some and not all", n)
	}
}

func TestInterruptedMessagesIsAnError(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i := range 3 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range b.Messages(ctx, publish.Watch{}) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the last error is %v, want the context's", last)
	}
}

func TestFollowingGivesNewMessages(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	natstest.Store(t, b, natstest.Event(job.Finished, "0", "COMPLETED"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for m, err := range b.Messages(ctx, publish.Watch{Subjects: []string{"jobs.*.*.finished"}, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("jobs.demo.%d.finished", n); m.Subject != want {
			t.Fatalf("gave %s, want %s", m.Subject, want)
		}
		if n++; n == 4 {
			cancel()
			continue
		}
		natstest.Store(t, b, natstest.Event(job.Progress, "between", "RUNNING"))
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(n), "COMPLETED"))
	}
	if n != 4 {
		t.Errorf("gave %d messages before its context ended, want 4", n)
	}
}

func TestForeignMessageOfAJobIsAnError(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	if _, err := s.JetStream().Publish(t.Context(), "jobs.demo.1.finished", []byte("somebody else's")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, "1", "COMPLETED")); !errors.Is(err, conn.ErrUnavailable) {
		t.Errorf("Publish = %v, want ErrUnavailable: it is not stored", err)
	}
	if _, err := b.Job(t.Context(), "demo", "1"); err == nil {
		t.Error("Job = nil, want an error")
	}
	if events, err := b.Job(t.Context(), "demo", "2"); err != nil || len(events) != 0 {
		t.Errorf("Job of an unknown job = %v, %v, want none", events, err)
	}
}
