package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/service/jobs"
	"receiver/internal/submission"
	"receiver/internal/submit"
)

// witness is a platform that keeps what it was asked for.
type witness struct{ asked *submission.Request }

func (w witness) Submit(_ context.Context, q submission.Request, name string) (job.Event, error) {
	*w.asked = q
	return job.Event{Kind: job.Submitted, Source: q.Source, Job: job.View{ID: "7", Submission: name}, Evidence: job.ByUs}, nil
}

func (w witness) Find(context.Context, job.Submission) (*job.Event, error) { return nil, nil }
func (w witness) Record(context.Context, job.Event) error                  { return nil }

func TestWhatIsAskedOfThePlatform(t *testing.T) {
	t.Parallel()
	r := open(t)
	var asked submission.Request
	s := jobs.Submissions{
		Submitter: &submission.Submitter{Store: r.store, Platform: witness{&asked}}, Platform: r.Platform, Log: zerolog.Nop(),
		Ready: func(string) error { return nil }, Count: func(string, string) {},
	}
	gather := func(g api.Gathering) submission.Request { return submission.Request{Source: "demo", Gather: g} }
	upload := submission.Request{Source: "demo", Direction: "UPLOAD", Object: "contact", FileName: "c.csv", Body: strings.NewReader("a"), Size: 1}
	with := func(change func(*submission.Request)) submission.Request {
		q := upload
		change(&q)
		return q
	}
	for _, tt := range []struct {
		name string
		q    submission.Request
		want any    // what is gathered
		says string // why it is refused
	}{
		{"a file", upload, nil, ""},
		{"a file of no object", with(func(q *submission.Request) { q.Object = "" }), nil, "?object="},
		{"metadata that is no object", with(func(q *submission.Request) { q.Metadata = []byte("7") }), nil, "metadata is not a JSON object"},
		{"metadata that is no JSON", with(func(q *submission.Request) { q.Metadata = []byte("{") }), nil, "metadata is not a JSON object"},
		{"a payload that is no JSON", with(func(q *submission.Request) { q.Payload = []byte("x") }), nil, "callback_payload is not JSON"},
		{"a query", gather(api.Gathering{Direction: "query", Q: "select", From: "f", To: "t", LastRunDate: "l", ContinueFromJobId: "9", Metadata: []byte(`{"a":1}`), CallbackPayload: []byte("7")}),
			submit.Query{Q: "select", From: "f", To: "t", LastRunDate: "l", ContinueFromJobID: "9"}, ""},
		{"a download", gather(api.Gathering{Direction: "download", Object: "contact", Format: "jsonl", SelectFields: "a", Where: "b", From: "f", To: "t", FilterDateField: "d", FilterNulls: true, Limit: 1, ApiLimit: 2, PageSize: 3, ContinueFromJobId: "9"}),
			submit.Download{Object: "contact", Format: "application/jsonl", SelectFields: "a", Where: "b", From: "f", To: "t", FilterDateField: "d", FilterNulls: true, Limit: 1, APILimit: 2, PageSize: 3, ContinueFromJobID: 9}, ""},
		{"a download of CSV", gather(api.Gathering{Direction: "download", Object: "contact"}), submit.Download{Object: "contact", Format: "txt/csv"}, ""},
		{"no direction", gather(api.Gathering{Q: "a"}), nil, "neither query nor download"},
		{"an upload as JSON", gather(api.Gathering{Direction: "upload"}), nil, "text/csv"},
		{"a query with parts of a download", gather(api.Gathering{Direction: "query", Q: "a", Object: "contact"}), nil, "a query takes"},
		{"a query with the format of a download", gather(api.Gathering{Direction: "query", Q: "a", Format: "csv"}), nil, "a query takes"},
		{"a download with parts of a query", gather(api.Gathering{Direction: "download", Object: "contact", Q: "a"}), nil, "a download does not take"},
		{"a format that is none", gather(api.Gathering{Direction: "download", Object: "contact", Format: "xml"}), nil, "xml"},
		{"a job that is no number", gather(api.Gathering{Direction: "download", Object: "contact", ContinueFromJobId: "x"}), nil, "not a number"},
		{"metadata of a query that is no object", gather(api.Gathering{Direction: "query", Q: "a", Metadata: []byte("7")}), nil, "metadata is not a JSON object"},
	} {
		asked = submission.Request{}
		_, err := s.Submit(t.Context(), tt.q)
		if tt.says != "" {
			if kind(t, tt.name, err, api.BadRequest); err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
			}
			continue
		}
		if err != nil || fmt.Sprintf("%#v", asked.Gather) != fmt.Sprintf("%#v", tt.want) {
			t.Errorf("%s: asked for %#v, %v, want %#v", tt.name, asked.Gather, err, tt.want)
		}
		if g, ok := tt.q.Gather.(api.Gathering); ok && (asked.Direction != "DOWNLOAD" || asked.Object != g.Object || string(asked.Metadata) != string(g.Metadata) || string(asked.Payload) != string(g.CallbackPayload)) {
			t.Errorf("%s: asked for %+v", tt.name, asked)
		}
	}
}
