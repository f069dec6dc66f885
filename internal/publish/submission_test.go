package publish_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// A record replaces the one that its writer has read, and no other.
func TestRecordsOfSubmissionsAreReplacedInTurn(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	first := job.Submission{Source: "crm", Name: "KEY", Object: "contact", State: job.SubmissionPending}
	if _, there, err := b.SubmissionNamed(t.Context(), "crm", "KEY"); err != nil || there {
		t.Fatalf("a record that there is not: %v, %v", there, err)
	}
	sequence, stored, err := b.PutSubmission(t.Context(), first)
	if err != nil || !stored || sequence == 0 {
		t.Fatalf("PutSubmission = %d, %v, %v", sequence, stored, err)
	}
	if _, stored, err = b.PutSubmission(t.Context(), first); err != nil || stored {
		t.Errorf("a second first record: stored %v, %v, want false", stored, err)
	}
	first.Sequence, first.State, first.Job = sequence, job.SubmissionSubmitted, "7"
	if _, stored, err = b.PutSubmission(t.Context(), first); err != nil || !stored {
		t.Errorf("the next record: stored %v, %v", stored, err)
	}
	got, there, err := b.SubmissionNamed(t.Context(), "crm", "KEY")
	if err != nil || !there || got.Job != "7" || got.Sequence != sequence+1 {
		t.Errorf("SubmissionNamed = %+v, %v, %v", got, there, err)
	}
}

// A follower gets the records that there are and those that are changed.
func TestRecordsOfSubmissionsAreFollowed(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	put := func(r job.Submission) job.Submission {
		t.Helper()
		sequence, stored, err := b.PutSubmission(t.Context(), r)
		if err != nil || !stored {
			t.Fatalf("PutSubmission = %v, %v", stored, err)
		}
		r.Sequence = sequence
		return r
	}
	one := put(job.Submission{Source: "crm", Name: "A", State: job.SubmissionPending})
	got := make(chan job.Submission)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Submissions(ctx, func(r job.Submission) { got <- r }) }()
	if r := <-got; r.Name != "A" || r.Sequence != one.Sequence {
		t.Errorf("the first is %+v, want A", r)
	}
	one.State = job.SubmissionFailed
	put(one)
	if r := <-got; r.Name != "A" || r.State != job.SubmissionFailed {
		t.Errorf("the second is %+v, want A, failed", r)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Submissions = %v", err)
	}
}

// A replay is the event as it is stored, elsewhere, so that JOBS has it once.
func TestReplaysAreTheEventsThemselves(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	event := natstest.Store(t, b, natstest.Event(job.Finished, "7", "COMPLETED"))
	for i := range uint64(2) {
		if sequence, err := b.Replay(t.Context(), event.Sequence); err != nil || sequence != i+1 {
			t.Errorf("Replay = %d, %v, want %d", sequence, err, i+1)
		}
	}
	if _, err := b.Replay(t.Context(), event.Sequence+1); !errors.Is(err, publish.ErrNoEvent) {
		t.Errorf("a replay of no event = %v, want ErrNoEvent", err)
	}
	js := s.JetStream()
	stored := func(stream string, sequence uint64) *jetstream.RawStreamMsg {
		st, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		m, err := st.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	original, again := stored("JOBS", event.Sequence), stored("REPLAYS", 2)
	if again.Subject != "replays."+original.Subject || string(again.Data) != string(original.Data) || again.Header.Get("receiver-replay-of") != "1" {
		t.Errorf("the replay is %s, %q, %v", again.Subject, again.Data, again.Header)
	}
	if read, err := job.ParseEvent(original.Subject, map[string][]string(again.Header), again.Data); err != nil || read.ID() != event.ID() {
		t.Errorf("the replay reads as %+v, %v", read, err)
	}
	if events, err := b.Job(t.Context(), event.Source, "7"); err != nil || len(events) != 1 {
		t.Errorf("JOBS has %d events of the job, %v, want 1", len(events), err)
	}
}

// A server may end the connection for an error after which the client library does not connect
// again. The receiver learns of it.
func TestAConnectionThatIsClosedForGoodIsNoticed(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	select {
	case <-b.Closed():
		t.Fatal("it is closed at the start")
	default:
	}
	_ = b.JetStream().Conn().Publish(strings.Repeat("x", 5000), nil) // longer than a control line may be
	select {
	case <-b.Closed():
	case <-time.After(natstest.LongTimeout):
		t.Fatal("it is not noticed")
	}
	if err := b.ClosedFor(); err == nil {
		t.Error("ClosedFor returned nothing")
	}
}
