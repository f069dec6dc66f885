package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"

	"github.com/nats-io/nats.go"
)

func TestEdgeForwardsItsRecords(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	natstest.Store(t, r.Store, natstest.Event(job.Submitted, "1", "CREATED"))
	natstest.Store(t, r.Store, natstest.Called(job.Progress, "1", "RUNNING"))
	natstest.Store(t, r.Store, natstest.Called(job.Progress, "1", "STARTED"))
	want := natstest.Store(t, r.Store, natstest.Called(job.Finished, "1", "COMPLETED"))
	natstest.Store(t, r.Store, natstest.Unrecognised("x"))
	if err := r.Record(t.Context(), natstest.Attempt("mismatch")); err != nil {
		t.Fatal(err)
	}
	r.forward()
	r.drained()
	got := hub.Everything(conn.JobsStream)
	var subjects []string
	for _, m := range got {
		subjects = append(subjects, m.Subject)
	}
	wantSubjects := "[jobs.demo.1.submitted jobs.demo.1.progress jobs.demo.1.progress jobs.demo.1.finished " + natstest.Unrecognised("x").Subject() + "]"
	if fmt.Sprint(subjects) != wantSubjects {
		t.Fatalf("the hub holds %v, want %s", subjects, wantSubjects)
	}
	local, err := r.Job(t.Context(), "demo", "1")
	if err != nil || len(local) != 4 {
		t.Fatalf("Job = %d events, %v, want 4", len(local), err)
	}
	e, err := job.ParseEvent(got[3].Subject, got[3].Header, got[3].Data)
	if err != nil || e.Receipt == nil || *e.Receipt != *local[3].Receipt || !bytes.Equal(e.Data, want.Data) {
		t.Errorf("the hub's event is %+v, %v, want it with the evidence that it has here: %+v", e, err, local[3].Receipt)
	}
	from, marked, err := job.ParseEdge(got[3].Header)
	if err != nil || !marked || from.Name != "rim-1" || from.Record() != fmt.Sprintf("JOBS/%d", want.Sequence) {
		t.Errorf("the hub's event comes from %+v, %v, want JOBS/%d of rim-1", from, err, want.Sequence)
	}
	if n := hub.Holds(conn.AttemptsStream, "attempts.demo.mismatch"); n != 1 {
		t.Errorf("the hub holds %d attempts, want 1", n)
	}
	// A later event is forwarded at once.
	natstest.Store(t, r.Store, natstest.Called(job.Finished, "2", "COMPLETED"))
	natstest.Eventually(t, "the next event at the hub", func() bool { return hub.Holds(conn.JobsStream, "jobs.demo.2.finished") == 1 })
}

// A message whose headers look like a response of the server does not stop the forwarder.
func TestEdgeForwardsMessagesWithServerHeaders(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	for i, header := range natstest.ServersWords {
		if _, err := r.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: fmt.Sprintf("jobs.demo.%d.word", i), Header: header}); err != nil {
			t.Fatal(err)
		}
		natstest.Store(t, r.Store, natstest.Called(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	r.forward()
	r.drained()
	for i := range natstest.ServersWords {
		for _, kind := range []string{"word", "finished"} {
			if n := hub.Holds(conn.JobsStream, fmt.Sprintf("jobs.demo.%d.%s", i, kind)); n != 1 {
				t.Errorf("the hub holds %d of %s %d, want 1", n, kind, i)
			}
		}
	}
}

func TestCallbackAtTwoEdgesIsOneEvent(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	edges := []*testEdge{newEdge(t, "rim-1", hub.Leaves()), newEdge(t, "rim-2", hub.Leaves())}
	const jobs = 300
	for _, r := range edges {
		r.forward()
	}
	var wg sync.WaitGroup
	for i, r := range edges {
		for n := range jobs {
			wg.Go(func() {
				id, status := fmt.Sprint(n), "COMPLETED"
				if n%10 == 0 && i == 1 {
					status = "ABORTED" // the edges receive different outcomes
				}
				if _, err := r.Publish(t.Context(), natstest.Called(job.Progress, id, "RUNNING")); err != nil {
					t.Error(err)
				}
				if got, err := r.Publish(t.Context(), natstest.Called(job.Finished, id, status)); err != nil || got.Existed {
					t.Errorf("Publish at the edge = existed %v, %v", got.Existed, err)
				}
			})
		}
	}
	wg.Wait()
	for _, r := range edges {
		r.drained()
	}
	for what, want := range map[string][2]int{
		"jobs.demo.*.finished":    {jobs, hub.Holds(conn.JobsStream, "jobs.demo.*.finished")},
		"jobs.demo.*.progress":    {jobs, hub.Holds(conn.JobsStream, "jobs.demo.*.progress")},
		"jobs.demo.*.conflict":    {jobs / 10, hub.Holds(conn.JobsStream, "jobs.demo.*.conflict")},
		"attempts.demo.duplicate": {2*jobs - jobs/10, hub.Holds(conn.AttemptsStream, "attempts.demo.duplicate")},
	} {
		if want[0] != want[1] {
			t.Errorf("the hub holds %d of %s, want %d", want[1], what, want[0])
		}
	}
	hub.InOrder(conn.JobsStream)
	for _, m := range hub.Everything(conn.JobsStream) {
		e, err := job.ParseEvent(m.Subject, m.Header, m.Data)
		if err != nil || e.Receipt == nil || e.ID() != m.Header["ce-id"][0] {
			t.Errorf("%s at the hub: id %v, receipt %v, %v", m.Subject, m.Header["ce-id"], e.Receipt, err)
		}
	}
	for _, m := range hub.Everything(conn.AttemptsStream) {
		a, err := job.ParseAttempt(m.Subject, m.Header, m.Data)
		if err != nil || len(a.Body) == 0 || a.Event == "" {
			t.Errorf("%s at the hub: %d bytes, event %q, %v", m.Subject, len(a.Body), a.Event, err)
		}
	}
}

// Bodies that the edge encrypts are forwarded unchanged, and can be decrypted at the hub.
func TestEncryptedBodiesAreForwarded(t *testing.T) {
	t.Parallel()
	hub, b := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	hide := func(data []byte) ([]byte, error) { return append([]byte("hidden:"), data...), nil }
	reveal := func(data []byte) ([]byte, error) { return bytes.TrimPrefix(data, []byte("hidden:")), nil }
	hiding, err := publish.Open(t.Context(), r.server, conn.Options{Encrypt: hide, Streams: conn.Streams{Forwarded: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hiding.Close(context.Background()) })
	for id, known := range map[string]string{"new": "", "same": "COMPLETED", "other": "ABORTED"} {
		natstest.Store(t, hiding, natstest.Called(job.Finished, id, "COMPLETED"))
		if known != "" {
			natstest.Store(t, b, natstest.Called(job.Finished, id, known))
		}
	}
	r.forward()
	r.drained()
	want := `{"id":%q,"status":"COMPLETED"}`
	for id, subject := range map[string]string{"new": "jobs.demo.new.finished", "other": "jobs.demo.other.conflict"} {
		m := hub.Last(conn.JobsStream, subject)
		plain, _ := reveal(m.Data)
		e, err := job.ParseEvent(m.Subject, m.Header, plain)
		if err != nil || !bytes.HasPrefix(m.Data, []byte("hidden:")) || string(e.Data) != fmt.Sprintf(want, id) || !job.Encrypted(m.Header) {
			t.Errorf("%s at the hub: %s, %v, want it encrypted", subject, m.Data, err)
		}
	}
	m := hub.Last(conn.AttemptsStream, "attempts.demo.duplicate")
	plain, _ := reveal(m.Data)
	a, err := job.ParseAttempt(m.Subject, m.Header, plain)
	if err != nil || !bytes.HasPrefix(m.Data, []byte("hidden:")) || string(a.Body) != fmt.Sprintf(want, "same") || a.SHA256 != job.BodySHA256(a.Body) {
		t.Errorf("the duplicate at the hub: %s, %v, want it encrypted", m.Data, err)
	}
}

// The hub has received these events already, but not from this edge.
func TestKnownEventsAreForwardedAsAttempts(t *testing.T) {
	t.Parallel()
	hub, b := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	asked := natstest.Event(job.Finished, "asked", "COMPLETED")
	asked.Evidence = job.ByPoll
	odd := natstest.Unrecognised("odd")
	for _, e := range []job.Event{
		asked, natstest.Event(job.Submitted, "1", "CREATED"), natstest.Called(job.Progress, "1", "RUNNING"), natstest.Called(job.Conflict, "1", "ABORTED"), odd,
	} {
		natstest.Store(t, b, e)
	}
	byCallback := asked
	byCallback.Evidence, byCallback.Receipt = job.ByCallback, odd.Receipt
	for _, e := range []job.Event{
		byCallback, natstest.Event(job.Submitted, "1", "CREATED"), natstest.Called(job.Progress, "1", "running"), natstest.Called(job.Progress, "1", "STARTED"),
		natstest.Called(job.Conflict, "1", "ABORTED"), natstest.Called(job.Conflict, "1", "CANCELLED"), odd,
	} {
		natstest.Store(t, r.Store, e)
	}
	r.forward()
	r.drained()
	for subject, want := range map[string]int{
		"jobs.demo.asked.finished": 1, "jobs.demo.1.submitted": 1, "jobs.demo.1.progress": 2, "jobs.demo.1.conflict": 2, "jobs.demo.*.unrecognised": 1,
	} {
		if got := hub.Holds(conn.JobsStream, subject); got != want {
			t.Errorf("the hub holds %d on %s, want %d", got, subject, want)
		}
	}
	for subject, want := range map[string]int{"attempts.demo.late": 1, "attempts.demo.duplicate": 3} {
		if got := hub.Holds(conn.AttemptsStream, subject); got != want {
			t.Errorf("the hub holds %d on %s, want %d", got, subject, want)
		}
	}
	if got := r.link().Streams[0]; got.Sent != 2 || got.Repeated != 5 || got.Position != 7 {
		t.Errorf("Link = %d sent and %d repeated up to %d, want 2 and 5 up to 7", got.Sent, got.Repeated, got.Position)
	}
}
