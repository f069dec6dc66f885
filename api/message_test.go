package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/api/apitest"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/submission"
)

// event is a message of an event, as the program writes it.
func event(e job.Event) apitest.Message {
	return apitest.Message{Stream: conn.JobsStream, Subject: e.Subject(), Header: e.Header().Map(), Data: e.Data}
}

// finished is the message of a finished event by a callback.
func finished(t testing.TB) apitest.Message {
	t.Helper()
	body := []byte(`{"id":"7","status":"COMPLETED","recordsCount":2}`)
	v, err := job.Read(body)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 12, 30, 0, 123456789, time.UTC)
	return event(job.Event{
		Kind: job.Finished, Source: "crm", Job: v, Time: at, Evidence: job.ByCallback, Data: body, Unexpected: true,
		Receipt: &job.Receipt{Signature: "sha256=x", Key: "k", Fingerprint: "sha256:00000000", Remote: "192.0.2.7", Received: at, Request: `{"Host":["a"]}`},
	})
}

// A message is held to all that the contract says: one change makes it another one.
func TestMessagesAreHeldToTheContract(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*apitest.Message)
		want   string // in the error; empty: none
	}{
		{"as written", func(*apitest.Message) {}, ""},
		{"with a header of NATS", func(m *apitest.Message) { m.Header["Nats-Expected-Last-Subject-Sequence"] = []string{"0"} }, ""},
		{"through an edge", func(m *apitest.Message) {
			job.Edge{Name: "rim-1", Store: "UABC", Stream: conn.JobsStream, Sequence: 7, Stored: time.Now()}.Mark(m.Header)
		}, ""},
		{"in the object store", func(m *apitest.Message) {
			m.Header[job.HeaderDataRef], m.Data = []string{conn.DataRefPrefix + job.BodySHA256(nil) + ".WORD"}, nil
		}, ""},
		{"encrypted", func(m *apitest.Message) {
			m.Header["receiver-encryption"], m.Header["receiver-body-size"], m.Data = []string{job.ByAge}, []string{"48"}, []byte("age-encryption.org/v1\n…")
		}, ""},
		{"with a byte order mark", func(m *apitest.Message) { m.Data = append([]byte("\ufeff"), m.Data...) }, ""},
		{"a header that is not documented", func(m *apitest.Message) { m.Header["receiver-new"] = []string{"x"} }, "receiver-new"},
		{"a header of another kind", func(m *apitest.Message) { m.Header["ce-reason"] = []string{"no_id"} }, "ce-reason"},
		{"a header twice", func(m *apitest.Message) { m.Header["ce-source"] = []string{"a", "b"} }, "ce-source"},
		{"without its id", func(m *apitest.Message) { delete(m.Header, "ce-id") }, "ce-id"},
		{"without its proof", func(m *apitest.Message) { delete(m.Header, "receiver-signature") }, "receiver-signature"},
		{"an edge without a record", func(m *apitest.Message) { m.Header["receiver-edge"] = []string{"x"} }, "receiver-edge-record"},
		{"another type", func(m *apitest.Message) { m.Header["ce-type"] = []string{job.TypePrefix + "lost"} }, "ce-type"},
		{"an unknown result", func(m *apitest.Message) { m.Header["ce-result"] = []string{"splendid"} }, "ce-result"},
		{"a time that is none", func(m *apitest.Message) { m.Header["ce-time"] = []string{"today"} }, "ce-time"},
		{"a member that is not documented", func(m *apitest.Message) { m.Header[job.HeaderJob] = []string{`{"id":"7","new":1}`} }, "receiver-job"},
		{"a member of another type", func(m *apitest.Message) { m.Header[job.HeaderJob] = []string{`{"id":7}`} }, "receiver-job"},
		{"a job that is no JSON", func(m *apitest.Message) { m.Header[job.HeaderJob] = []string{`{`} }, "receiver-job"},
		{"a request that is none", func(m *apitest.Message) { m.Header[job.HeaderRequest] = []string{`{"Host":"a"}`} }, "receiver-request"},
		{"a payload that is no object", func(m *apitest.Message) { m.Data = []byte(`[]`) }, "payload"},
		{"no payload", func(m *apitest.Message) { m.Data = nil }, "payload"},
		{"a payload that should be encrypted", func(m *apitest.Message) { m.Header["receiver-encryption"] = []string{job.ByAge} }, "not encrypted"},
		{"another subject", func(m *apitest.Message) { m.Subject = "jobs.crm.7.ended" }, "no channel"},
		{"another stream", func(m *apitest.Message) { m.Stream = conn.AttemptsStream }, "no channel"},
		{"a member of a submission that is not documented", func(m *apitest.Message) {
			*m = apitest.Message{Stream: conn.WatchStream, Subject: "watch.crm.7", Data: []byte(
				`{"source":"crm","job":"7","since":"2026-11-23T12:30:00Z","next":"2026-11-23T12:30:00Z","new":1}`)}
		}, "new"},
		{"a fact of an action that is not documented", func(m *apitest.Message) {
			*m = apitest.Message{Stream: conn.ActionsStream, Subject: "actions.cancel", Data: []byte(
				`{"what":"cancel","time":"2026-11-23T12:30:00Z","details":{"source":"crm","job":"7","new":1}}`)}
		}, "new"},
		{"another action than the subject's", func(m *apitest.Message) {
			*m = apitest.Message{Stream: conn.ActionsStream, Subject: "actions.cancel", Data: []byte(
				`{"what":"release","time":"2026-11-23T12:30:00Z","details":{"source":"crm","job":"7"}}`)}
		}, "what"},
	} {
		m := finished(t)
		tt.change(&m)
		switch _, err := m.Check(); {
		case err == nil && tt.want != "":
			t.Errorf("%s: Check returned no error, want one about %q", tt.name, tt.want)
		case err != nil && tt.want == "":
			t.Errorf("%s: Check returned %v", tt.name, err)
		case err != nil && !strings.Contains(fmt.Sprint(err), tt.want):
			t.Errorf("%s: Check returned %v, want an error about %q", tt.name, err, tt.want)
		}
	}
}

// Each record of events that a sink did not accept, as the store has it.
func TestDeliveriesAreOfTheContract(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC)
	retrying := job.Delivery{Sink: "orders", Job: "crm.7", Next: 7, Last: 9, Tries: 2, Since: at, Due: at.Add(time.Hour), Error: "answered 500"}
	givenUp := job.Delivery{Sink: "orders", Job: "crm.7", Next: 7, Last: 7, Tries: 10, Since: at, Error: "answered 500", GivenUp: true}
	for _, d := range []job.Delivery{retrying, givenUp} {
		data, err := d.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (apitest.Message{Stream: conn.SinksStream, Subject: d.Subject(), Data: data}).Check(); err != nil {
			t.Error(err)
		}
	}
}

// Each record of a submission, as the store has it.
func TestSubmissionsAreOfTheContract(t *testing.T) {
	t.Parallel()
	store := natstest.Open(t, natstest.Start(t, t.TempDir()))
	platform := &platform{answers: map[string]error{"unknown": submission.ErrMayExist, "failed": errors.New("409"), "submitted": nil}}
	s := submission.Submitter{Store: store, Platform: platform}
	states := map[string]bool{}
	platform.looks = func() {
		last, err := store.LastSequence(t.Context(), conn.SubmissionsStream)
		if err == nil {
			err = store.Range(t.Context(), conn.SubmissionsStream, 1, last, func(m publish.Message) error {
				states[regexp.MustCompile(`"state":"([a-z]+)"`).FindStringSubmatch(string(m.Data))[1]] = true
				_, err := apitest.Message{Stream: conn.SubmissionsStream, Subject: m.Subject, Header: m.Header, Data: m.Data}.Check()
				return err
			})
		}
		if err != nil {
			t.Error(err)
		}
	}
	for object := range platform.answers {
		_, _ = s.Submit(t.Context(), submission.Request{Source: "crm", Key: object, Direction: "UPLOAD", Object: object, Body: strings.NewReader("a,b\n"), RequestID: "r"})
		platform.looks()
	}
	if got, want := slices.Sorted(maps.Keys(states)), constants(t, "job", "*.go", ".*", "SubmissionState"); !same(got, want) {
		t.Errorf("the stream had records in the states %q, want %q", got, want)
	}
}

// platform makes jobs, or fails, by the object; looks is called while it makes one.
type platform struct {
	answers map[string]error
	looks   func()
}

func (p *platform) Submit(_ context.Context, q submission.Request, id string) (job.Event, error) {
	_, err := io.Copy(io.Discard, q.Body)
	p.looks()
	if err == nil {
		err = p.answers[q.Object]
	}
	return job.Event{Kind: job.Submitted, Source: q.Source, Job: job.View{ID: "7", Submission: id}}, err
}

func (p *platform) Find(context.Context, job.Submission) (*job.Event, error) { return nil, nil }

func (p *platform) Record(context.Context, job.Event) error { return nil }
