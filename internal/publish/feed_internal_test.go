package publish

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// elsewhere stores an event as another process does: this process does not announce it.
func elsewhere(t *testing.T, b *Store, id string) {
	t.Helper()
	e := job.Event{Kind: job.Finished, Source: "crm", Job: job.View{ID: id, Status: "COMPLETED"}, Time: time.Now(), Evidence: job.ByPoll}
	if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: e.Subject(), Header: e.Header().Map()}); err != nil {
		t.Fatal(err)
	}
}

// A process may announce submissions for hours. Events that other processes store are read
// meanwhile.
func TestAnnouncementsDoNotDelayReadsOfTheStream(t *testing.T) {
	t.Parallel()
	b, _ := onALine(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	flooding, drained := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for flooding.Err() == nil {
			b.feed.publish(job.Stored{Event: job.Event{Kind: job.Submitted, Source: "crm", Job: job.View{ID: "1"}}})
		}
	}()
	stored := false
	for batch, err := range b.Briefs(ctx, 1, true) {
		if err != nil {
			t.Fatal(err)
		}
		if !stored && batch[0].Sequence == 0 {
			elsewhere(t, b, "2")
			stored = true
		}
		if batch[len(batch)-1].Sequence == 1 {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("nothing was read from the stream while submissions were announced")
	}
	drained()
	<-done
}

// leading is a stream whose leader has one more message than the replica that is read.
type leading struct{ jetstream.Stream }

func (l leading) Info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	info, err := l.Stream.Info(ctx, opts...)
	if err == nil {
		info.State.LastSeq++
	}
	return info, err
}

func TestRecordMissingOnAReplicaIsReadLater(t *testing.T) {
	t.Parallel()
	b, _ := onALine(t)
	b.jobs = leading{b.jobs}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	elsewhere(t, b, "1")
	var got []uint64
	for batch, err := range b.Briefs(ctx, 1, true) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			got = append(got, e.Sequence)
		}
		if len(got) == 1 {
			elsewhere(t, b, "2") // the leader had it before
		}
		if len(got) == 2 {
			break
		}
	}
	if len(got) != 2 || got[1] != 2 {
		t.Errorf("read sequences %v, want 1 and 2", got)
	}
}
