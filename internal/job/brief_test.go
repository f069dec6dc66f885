package job_test

import (
	"testing"
	"time"

	"receiver/internal/job"
)

// ReadBrief says the same as ParseEvent, only less of it.
func TestReadBriefAgreesWithParseEvent(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 30, 0, 5, time.UTC)
	for _, body := range []string{
		notification,
		`{"id":"1","status":"RUNNING"}`,
		`{"id":"a.b *>é","status":" Half Done\t%20\"","recordsCount":9007199254740993,"recordsFailedCount":0,"object_name":"R&D <x> \"q\" \\ \/ é \ud83d\ude00 \u2028"}`,
		`{"id":"1","status":"ABORTED","error":"\",\"object\":\"no\",\"records\":1","callback-payload":{"object":"no","records":7,"failed":8}}`,
		`{"id":"1","status":"x","object_name":"a,\"records\":5}","recordsCount":3}`,
		`{"id":"1","status":"COMPLETED","object_name":"","recordsFailedCount":2,"fileFormat":"csv","message":"hello"}`,
	} {
		e := job.Event{Kind: job.Progress, Source: "demo", Job: read(t, body), Time: at, Evidence: job.ByPoll, Data: []byte(body)}
		checkBrief(t, e)
	}
}

func checkBrief(t *testing.T, e job.Event) {
	t.Helper()
	header := e.Header().Map()
	want, err := job.ParseEvent(e.Subject(), header, e.Data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := job.ReadBrief(e.Subject(), job.LookupIn(header))
	if err != nil {
		t.Fatalf("ReadBrief of %s: %v", e.Data, err)
	}
	counts := func(n *int64) int64 {
		if n == nil {
			return -1
		}
		return *n
	}
	if w := (job.Brief{
		Source: want.Source, ID: want.Job.ID, Kind: want.Kind, Time: want.Time, Status: want.Job.Status, Result: want.Job.Result,
		Evidence: want.Evidence, Object: want.Job.Object, Records: counts(want.Job.Records), Failed: counts(want.Job.Failed),
	}); got != w {
		t.Errorf("ReadBrief of %s\n = %+v\nwant %+v", e.Data, got, w)
	}
	got.Sequence = 7
	if b := (job.Stored{Event: want, Sequence: 7}).Brief(); b != got {
		t.Errorf("Brief of %s\n = %+v\nwant %+v", e.Data, b, got)
	}
}

func TestReadBriefRefuses(t *testing.T) {
	good := job.Event{Kind: job.Finished, Source: "demo", Job: job.View{ID: "1"}, Time: time.Unix(1, 0)}
	for _, tt := range []struct{ name, subject, header, value string }{
		{"another stream", "attempts.demo.1.finished", "", ""},
		{"no stream", "demo.1.finished", "", ""},
		{"unrecognised", "jobs.demo." + job.BodySHA256(nil) + ".unrecognised", "", ""},
		{"unrecognised, as earlier versions stored it", "jobs.demo.unrecognised", "", ""},
		{"no kind", "jobs.demo.1", "", ""},
		{"another kind", "jobs.demo.1.else", "", ""},
		{"too long", "jobs.demo.1.finished.x", "", ""},
		{"no token", "jobs.demo.~YS5i=.finished", "", ""},
		{"no time", good.Subject(), "ce-time", "yesterday"},
		{"no status", good.Subject(), "ce-status", "%zz"},
	} {
		h := good.Header().Map()
		if tt.header != "" {
			h[tt.header] = []string{tt.value}
		}
		if got, err := job.ReadBrief(tt.subject, job.LookupIn(h)); err == nil {
			t.Errorf("%s: ReadBrief = %+v, want an error", tt.name, got)
		}
	}
}

func FuzzReadBrief(f *testing.F) {
	f.Add(`{"id":"1","status":"COMPLETED","object_name":"contact","recordsCount":2,"error":"x"}`)
	f.Fuzz(func(t *testing.T, body string) {
		v, err := job.Read([]byte(body))
		if err != nil {
			return
		}
		checkBrief(t, job.Event{Kind: job.Finished, Source: "demo", Job: v, Time: time.Unix(1, 0).UTC(), Data: []byte(body)})
	})
}

// FuzzReadBriefHeader holds that no header, however written, brings a panic.
func FuzzReadBriefHeader(f *testing.F) {
	for _, view := range []string{`{"id":"1","object":"x","records":1}`, ``, `{":1}`, `{"object":"x`, `{"object":"x\`} {
		f.Add("jobs.demo.1.finished", view, "x%20y")
	}
	f.Fuzz(func(_ *testing.T, subject, view, status string) {
		_, _ = job.ReadBrief(subject, job.LookupIn(map[string][]string{"ce-time": {"2026-11-23T12:30:00Z"}, "receiver-job": {view}, "ce-status": {status}}))
	})
}

func BenchmarkReadBrief(b *testing.B) {
	e := finished(b, []byte(notification))
	subject, header := e.Subject(), e.Header().Map()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := job.ReadBrief(subject, job.LookupIn(header)); err != nil {
			b.Fatal(err)
		}
	}
}
