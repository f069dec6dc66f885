package publish_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"receiver/internal/job"
	"receiver/internal/publish"
)

func TestAnEdgeBringsItsRecordsToTheHub(t *testing.T) {
	hub, _ := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	store(t, r.Bus, event(job.Submitted, "1", "CREATED"))
	store(t, r.Bus, called(job.Progress, "1", "RUNNING"))
	store(t, r.Bus, called(job.Progress, "1", "STARTED"))
	want := store(t, r.Bus, called(job.Finished, "1", "COMPLETED"))
	store(t, r.Bus, unrecognised("x"))
	if err := r.Record(t.Context(), attempt("mismatch")); err != nil {
		t.Fatal(err)
	}
	r.forward()
	r.drained()
	got := hub.everything(publish.JobsStream)
	var subjects []string
	for _, m := range got {
		subjects = append(subjects, m.Subject)
	}
	wantSubjects := "[jobs.demo.1.submitted jobs.demo.1.progress jobs.demo.1.progress jobs.demo.1.finished " + unrecognised("x").Subject() + "]"
	if fmt.Sprint(subjects) != wantSubjects {
		t.Fatalf("the hub holds %v, want %s", subjects, wantSubjects)
	}
	here, err := r.Job(t.Context(), "demo", "1")
	if err != nil || len(here) != 4 {
		t.Fatalf("Job = %d events, %v, want 4", len(here), err)
	}
	e, err := job.ParseEvent(got[3].Subject, got[3].Header, got[3].Data)
	if err != nil || e.Receipt == nil || *e.Receipt != *here[3].Receipt || !bytes.Equal(e.Data, want.Data) {
		t.Errorf("the hub's event is %+v, %v, want it with the evidence that it has here: %+v", e, err, here[3].Receipt)
	}
	from, marked, err := job.ParseEdge(got[3].Header)
	if err != nil || !marked || from.Name != "rim-1" || from.Record() != fmt.Sprintf("JOBS/%d", want.Sequence) {
		t.Errorf("the hub's event comes from %+v, %v, want JOBS/%d of rim-1", from, err, want.Sequence)
	}
	if n := hub.holds(publish.AttemptsStream, "attempts.demo.mismatch"); n != 1 {
		t.Errorf("the hub holds %d attempts, want 1", n)
	}
	// What comes later goes at once.
	store(t, r.Bus, called(job.Finished, "2", "COMPLETED"))
	eventually(t, "the next event at the hub", func() bool { return hub.holds(publish.JobsStream, "jobs.demo.2.finished") == 1 })
}

// A header by which the client library takes a message for the server's word stops nothing.
func TestAnEdgeForwardsPastTheServersWords(t *testing.T) {
	hub, _ := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	for i, header := range words {
		if err := publish.Speak(t.Context(), r.Bus, fmt.Sprintf("jobs.demo.%d.word", i), header); err != nil {
			t.Fatal(err)
		}
		store(t, r.Bus, called(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	r.forward()
	r.drained()
	for i := range words {
		for _, kind := range []string{"word", "finished"} {
			if n := hub.holds(publish.JobsStream, fmt.Sprintf("jobs.demo.%d.%s", i, kind)); n != 1 {
				t.Errorf("the hub holds %d of %s %d, want 1", n, kind, i)
			}
		}
	}
}

// What the hub's own receivers store, and what strangers publish there, must not come into
// the edge's streams, which have the same subjects, nor the other way around.
func TestOnlyTheForwarderCrossesTheLine(t *testing.T) {
	hub, b := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	eventually(t, "the leaf to be connected", func() bool { return hub.ns.NumLeafNodes() == 1 })
	store(t, b, called(job.Finished, "hub", "COMPLETED"))
	store(t, r.Bus, called(job.Finished, "edge", "COMPLETED"))
	if n := count(t, r.Bus, publish.JobsStream); n != 1 {
		t.Errorf("the edge holds %d events, want its own", n)
	}
	if n := hub.holds(publish.JobsStream, ">"); n != 1 {
		t.Errorf("the hub holds %d events, want its own", n)
	}
	c := crowd{Server: r.server, Bus: r.Bus, folder: r.e.Folder, creds: map[string][]byte{}}
	c.admit(t, "a")
	nc := c.connect(t, "a")
	for _, subject := range []string{
		"jobs.demo.forged.finished", "$JS.hub.API.STREAM.DELETE.JOBS", "$JS.hub.API.STREAM.INFO.JOBS", "$JS.hub.API.CONSUMER.MSG.NEXT.JOBS.a",
		"$JS.rim-1.API.STREAM.INFO.JOBS",
	} {
		if answer, err := nc.Request(subject, nil, answerPatience); err == nil {
			t.Errorf("a consumer of the edge reaches %s: %s", subject, answer.Data)
		}
	}
	for _, subject := range []string{
		"$JS.rim-1.API.STREAM.DELETE.JOBS", "$JS.rim-1.API.STREAM.PURGE.JOBS", "$JS.rim-1.API.STREAM.MSG.DELETE.JOBS",
		"$JS.rim-1.API.CONSUMER.CREATE.JOBS", "$JS.rim-1.API.STREAM.LIST", "$JS.rim-1.API.STREAM.INFO.WATCH",
	} {
		hub.jetstream()
		if answer, err := hub.nc.Request(subject, nil, answerPatience); err == nil {
			t.Errorf("the hub reaches %s at the edge: %s", subject, answer.Data)
		}
	}
	answer, err := hub.nc.Request("$JS.rim-1.API.STREAM.INFO.JOBS", nil, 5*answerPatience)
	if err != nil || !bytes.Contains(answer.Data, []byte(`"messages":1`)) {
		t.Errorf("the hub asks after the edge's JOBS: %v, %v, want that it holds one", answer, err)
	}
}

func TestTwoEdgesWithOneCallback(t *testing.T) {
	hub, _ := newHub(t)
	rims := []*rim{newRim(t, "rim-1", hub.leaves()), newRim(t, "rim-2", hub.leaves())}
	const jobs = 300
	for _, r := range rims {
		r.forward()
	}
	var wg sync.WaitGroup
	for i, r := range rims {
		for n := range jobs {
			wg.Go(func() {
				id, status := fmt.Sprint(n), "COMPLETED"
				if n%10 == 0 && i == 1 {
					status = "ABORTED" // they were told two ends
				}
				if _, err := r.Publish(t.Context(), called(job.Progress, id, "RUNNING")); err != nil {
					t.Error(err)
				}
				if got, err := r.Publish(t.Context(), called(job.Finished, id, status)); err != nil || got.Existed {
					t.Errorf("Publish at the edge = existed %v, %v", got.Existed, err)
				}
			})
		}
	}
	wg.Wait()
	for _, r := range rims {
		r.drained()
	}
	for what, want := range map[string][2]int{
		"jobs.demo.*.finished":    {jobs, hub.holds(publish.JobsStream, "jobs.demo.*.finished")},
		"jobs.demo.*.progress":    {jobs, hub.holds(publish.JobsStream, "jobs.demo.*.progress")},
		"jobs.demo.*.conflict":    {jobs / 10, hub.holds(publish.JobsStream, "jobs.demo.*.conflict")},
		"attempts.demo.duplicate": {2*jobs - jobs/10, hub.holds(publish.AttemptsStream, "attempts.demo.duplicate")},
	} {
		if want[0] != want[1] {
			t.Errorf("the hub holds %d of %s, want %d", want[1], what, want[0])
		}
	}
	hub.inOrder(publish.JobsStream)
	for _, m := range hub.everything(publish.JobsStream) {
		e, err := job.ParseEvent(m.Subject, m.Header, m.Data)
		if err != nil || e.Receipt == nil || e.ID() != m.Header["ce-id"][0] {
			t.Errorf("%s at the hub: id %v, receipt %v, %v", m.Subject, m.Header["ce-id"], e.Receipt, err)
		}
	}
	for _, m := range hub.everything(publish.AttemptsStream) {
		a, err := job.ParseAttempt(m.Subject, m.Header, m.Data)
		if err != nil || len(a.Body) == 0 || a.Event == "" {
			t.Errorf("%s at the hub: %d bytes, event %q, %v", m.Subject, len(a.Body), a.Event, err)
		}
	}
}

// Bodies that are encrypted here go to the hub as they are, and can be read there.
func TestEncryptedBodiesComeToTheHub(t *testing.T) {
	t.Parallel()
	hub, b := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	hide := func(data []byte) ([]byte, error) { return append([]byte("hidden:"), data...), nil }
	reveal := func(data []byte) ([]byte, error) { return bytes.TrimPrefix(data, []byte("hidden:")), nil }
	hiding, err := r.server.Open(t.Context(), publish.Options{Hide: hide, Streams: publish.Streams{Forwarded: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hiding.Close(context.Background()) })
	for id, there := range map[string]string{"new": "", "same": "COMPLETED", "other": "ABORTED"} {
		store(t, hiding, called(job.Finished, id, "COMPLETED"))
		if there != "" {
			store(t, b, called(job.Finished, id, there))
		}
	}
	r.forward()
	r.drained()
	want := `{"id":%q,"status":"COMPLETED"}`
	for id, subject := range map[string]string{"new": "jobs.demo.new.finished", "other": "jobs.demo.other.conflict"} {
		m := hub.last(publish.JobsStream, subject)
		plain, _ := reveal(m.Data)
		e, err := job.ParseEvent(m.Subject, m.Header, plain)
		if err != nil || !bytes.HasPrefix(m.Data, []byte("hidden:")) || string(e.Data) != fmt.Sprintf(want, id) || !job.Encrypted(m.Header) {
			t.Errorf("%s at the hub: %s, %v, want it encrypted", subject, m.Data, err)
		}
	}
	m := hub.last(publish.AttemptsStream, "attempts.demo.duplicate")
	plain, _ := reveal(m.Data)
	a, err := job.ParseAttempt(m.Subject, m.Header, plain)
	if err != nil || !bytes.HasPrefix(m.Data, []byte("hidden:")) || string(a.Body) != fmt.Sprintf(want, "same") || a.SHA256 != job.BodySHA256(a.Body) {
		t.Errorf("the duplicate at the hub: %s, %v, want it encrypted", m.Data, err)
	}
}

// What the hub knows already, by another way than this edge.
func TestWhatTheHubHasAlready(t *testing.T) {
	t.Parallel()
	hub, b := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	asked := event(job.Finished, "asked", "COMPLETED")
	asked.Evidence = job.ByPoll
	odd := unrecognised("odd")
	for _, e := range []job.Event{
		asked, event(job.Submitted, "1", "CREATED"), called(job.Progress, "1", "RUNNING"), called(job.Conflict, "1", "ABORTED"), odd,
	} {
		store(t, b, e)
	}
	told := asked
	told.Evidence, told.Receipt = job.ByCallback, odd.Receipt
	for _, e := range []job.Event{
		told, event(job.Submitted, "1", "CREATED"), called(job.Progress, "1", "running"), called(job.Progress, "1", "STARTED"),
		called(job.Conflict, "1", "ABORTED"), called(job.Conflict, "1", "CANCELLED"), odd,
	} {
		store(t, r.Bus, e)
	}
	r.forward()
	r.drained()
	for subject, want := range map[string]int{
		"jobs.demo.asked.finished": 1, "jobs.demo.1.submitted": 1, "jobs.demo.1.progress": 2, "jobs.demo.1.conflict": 2, "jobs.demo.*.unrecognised": 1,
	} {
		if got := hub.holds(publish.JobsStream, subject); got != want {
			t.Errorf("the hub holds %d on %s, want %d", got, subject, want)
		}
	}
	for subject, want := range map[string]int{"attempts.demo.late": 1, "attempts.demo.duplicate": 3} {
		if got := hub.holds(publish.AttemptsStream, subject); got != want {
			t.Errorf("the hub holds %d on %s, want %d", got, subject, want)
		}
	}
	if got := r.line().Streams[0]; got.Sent != 2 || got.Repeated != 5 {
		t.Errorf("Line = %d sent and %d repeated, want 2 and 5", got.Sent, got.Repeated)
	}
}
