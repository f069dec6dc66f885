package publish_test

import (
	"context"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// An unrecognised body is one event of its source, however late it is sent again, by whichever key,
// and after any restart.
func TestUnrecognisedBodyIsOneEvent(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		for _, again := range []bool{false, true} {
			s, err := natsserver.Start(natstest.Embedded(folder))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b := natstest.Open(t, s)
			if again { // a server that starts reads the ids of the last two minutes
				natstest.ForgetIDs(t, b.JetStream(), conn.JobsStream)
			}
			natstest.Replay(t, b, again)
			if err := b.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.Stop()
		}
	})
	t.Run("external", func(t *testing.T) {
		t.Parallel()
		s := natstest.NewServer(t, 0)
		natstest.Replay(t, natstest.Dial(t, s.External(), conn.Options{}), false)
		s.Forget(conn.JobsStream)
		natstest.Replay(t, natstest.Dial(t, s.External(), conn.Options{}), true) // another receiver
		s.Stop()
		s.Start()
		s.Forget(conn.JobsStream)
		natstest.Replay(t, natstest.Dial(t, s.External(), conn.Options{}), true)
	})
}

// Unrecognised bodies that earlier versions stored stay readable. A repeat of one creates one more
// event.
func TestUnrecognisedBodyOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	natstest.StoreAsBefore(t, b, natstest.Unrecognised("x"))
	for range 3 {
		if got := natstest.Store(t, b, natstest.Unrecognised("x")); got.Sequence != 2 {
			t.Errorf("sent again it has sequence %d, want 2", got.Sequence)
		}
	}
	var ids []string
	for m, err := range b.Messages(t.Context(), publish.Watch{Stream: conn.JobsStream}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := job.ParseEvent(m.Subject, m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID())
	}
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("their ids are %s, want one", ids)
	}
}

// A job whose id equals the digest of an unrecognised body does not share its events.
func TestJobNamedLikeADigestIsSeparate(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	natstest.Store(t, b, natstest.Unrecognised("x"))
	digest := job.BodySHA256([]byte("x"))
	if got, err := b.Job(t.Context(), "demo", digest); err != nil || len(got) != 0 {
		t.Errorf("Job = %v, %v, want nothing", got, err)
	}
	natstest.Store(t, b, natstest.Event(job.Finished, digest, "COMPLETED"))
	if got, err := b.Job(t.Context(), "demo", digest); err != nil || len(got) != 1 || got[0].Kind != job.Finished {
		t.Errorf("Job = %v, %v, want its end alone", got, err)
	}
}
