package job_test

import (
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
)

// A message is dated by what it says itself. A time in another form is an error, and an action that
// this program did not write says nothing.
func TestReadDating(t *testing.T) {
	at, later := time.Date(2026, 11, 23, 12, 30, 0, 5, time.UTC), time.Date(2026, 11, 23, 12, 31, 0, 0, time.UTC)
	const early, late = "2026-11-23T12:30:00.000000005Z", "2026-11-23T12:31:00Z"
	action := job.Action{What: job.ActionStart, Time: at}
	data, err := action.Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, subject string
		header        map[string][]string
		data          []byte
		want          job.Dating
		fails         string // part of the error
	}{
		{
			name: "an event", subject: "jobs.demo.7.finished",
			header: map[string][]string{"ce-evidence": {"callback"}, "receiver-body-sha256": {"ab"}, "receiver-received": {early}, "ce-time": {late}},
			want:   job.Dating{Source: "demo", Evidence: job.ByCallback, Body: "ab", Received: at, Time: later},
		},
		{
			name: "an attempt", subject: "attempts.demo.mismatch", header: map[string][]string{"receiver-received": {early}},
			want: job.Dating{Source: "demo", Verdict: "mismatch", Received: at},
		},
		{
			name: "a record of an edge", subject: "jobs.demo.7.finished",
			header: map[string][]string{"receiver-edge-record": {"JOBS/4"}, "receiver-edge-stored": {late}},
			want:   job.Dating{Source: "demo", Edge: later},
		},
		{name: "an action", subject: action.Subject(), data: data, want: job.Dating{Action: job.ActionStart, Time: at}},
		{name: "another's action", subject: action.Subject(), data: []byte("x"), header: map[string][]string{"ce-time": {late}}},
		{name: "no time", subject: "jobs.demo.7.finished", want: job.Dating{Source: "demo"}},
		{name: "an arrival in another form", subject: "jobs.demo.7.finished", header: map[string][]string{"receiver-received": {"noon"}}, fails: "receiver-received"},
		{name: "a time in another form", subject: "jobs.demo.7.finished", header: map[string][]string{"ce-time": {"noon"}}, fails: "ce-time"},
		{name: "an edge's in another form", subject: "jobs.demo.7.finished", header: map[string][]string{"receiver-edge-record": {"JOBS/4"}, "receiver-edge-stored": {"noon"}}, fails: "receiver-edge-stored"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := job.ReadDating(tt.subject, tt.header, tt.data)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("ReadDating = %+v, %v, want an error for %s", got, err, tt.fails)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("ReadDating = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}
