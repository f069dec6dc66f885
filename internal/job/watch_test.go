package job_test

import (
	"reflect"
	"testing"
	"time"

	"receiver/internal/job"
)

func TestWatchRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 30, 0, 5, time.UTC)
	for _, tt := range []struct {
		subject string
		watch   job.Watch
	}{
		{"watch.demo.42114492", job.Watch{Source: "demo", Job: "42114492", Since: at, Next: at.Add(time.Minute)}},
		{"watch.demo.~YS5i", job.Watch{
			Source: "demo", Job: "a.b", Object: "contact", Since: at, Next: at, Last: at, Looks: 7, Failures: 6, Step: 2,
			Status: "RUNNING", Error: "503 Service Unavailable", Overdue: true,
		}},
	} {
		if got := job.WatchSubject(tt.watch.Source, tt.watch.Job); got != tt.subject {
			t.Errorf("WatchSubject = %s, want %s", got, tt.subject)
		}
		got, err := job.ParseWatch(tt.subject, tt.watch.Data())
		if err != nil || !reflect.DeepEqual(got, tt.watch) {
			t.Errorf("ParseWatch(%s) = %+v, %v\nwant %+v", tt.subject, got, err, tt.watch)
		}
	}
}

func TestParseWatchRefuses(t *testing.T) {
	data := string(job.Watch{Source: "demo", Job: "1"}.Data())
	for _, tt := range []struct{ name, subject, data string }{
		{"another stream", "jobs.demo.1", data},
		{"no job", "watch.demo", data},
		{"too long", "watch.demo.1.x", data},
		{"no such source", "watch.Demo.1", data},
		{"no token", "watch.demo.~YS5i=", data},
		{"another job", "watch.demo.2", data},
		{"another source", "watch.other.1", data},
		{"not JSON", "watch.demo.1", "{"},
	} {
		if got, err := job.ParseWatch(tt.subject, []byte(tt.data)); err == nil {
			t.Errorf("%s: ParseWatch = %+v, want an error", tt.name, got)
		}
	}
}

func TestFilesUntil(t *testing.T) {
	heard := time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		kind  job.Kind
		ended string
		want  string
	}{
		{"counted from when we heard", job.Finished, "", "2026-11-26T12:30:00Z"},
		{"counted from the platform's time", job.Finished, "2026-11-20T10:00:00.5Z", "2026-11-23T10:00:00Z"},
		{"a time that is none", job.Finished, "yesterday", "2026-11-26T12:30:00Z"},
		{"a time to come", job.Finished, "2027-01-01T00:00:00Z", "2026-11-26T12:30:00Z"},
		{"not finished", job.Conflict, "2026-11-20T10:00:00Z", ""},
	} {
		h := job.Event{Kind: tt.kind, Source: "demo", Time: heard, Job: job.View{ID: "1", Ended: tt.ended}}.Header().Map()
		got := ""
		if v := h["ce-filesuntil"]; len(v) > 0 {
			got = v[0]
		}
		if got != tt.want {
			t.Errorf("%s: ce-filesuntil = %q, want %q", tt.name, got, tt.want)
		}
	}
}
