package joblist_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
)

func TestFold(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 23, 12, minute, 0, 0, time.UTC) }
	event := func(minute int, k job.Kind, body string, by job.Evidence) job.Stored {
		v, err := job.Read([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return job.Stored{Sequence: uint64(minute), Event: job.Event{Kind: k, Source: "demo", Job: v, Time: at(minute), Evidence: by, Data: []byte(body)}}
	}
	submitted := event(1, job.Submitted, `{"id":"1","status":"CREATED","object_name":"contact","job_direction":"UPLOAD","callback-payload":{"n":7}}`, job.ByUs)
	running := event(2, job.Progress, `{"id":"1","status":"RUNNING"}`, job.ByPoll)
	pondering := event(3, job.Progress, `{"id":"1","status":"PONDERING","object_name":"lead"}`, job.ByCallback)
	overdue := event(4, job.Overdue, `{"id":"1","status":"RUNNING"}`, job.ByUs)
	lost := event(5, job.Lost, `{"id":"1","status":"RUNNING"}`, job.ByUs)
	finished := event(6, job.Finished, `{"id":"1","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1}`, job.ByCallback)
	finished.Unexpected, finished.Receipt = true, &job.Receipt{Key: "k", Remote: "192.0.2.7"}
	conflict := event(7, job.Conflict, `{"id":"1","status":"ABORTED"}`, job.ByPoll)
	failures := event(8, job.Errors, `{"id":"1","status":"x","count":1,"truncated":true}`, job.ByPoll)
	late := submitted
	late.Sequence = 9

	type want struct {
		state    joblist.State
		status   string
		result   job.Result
		object   string
		expected bool
		evidence job.Evidence
	}
	for _, tt := range []struct {
		name   string
		events []job.Stored
		want   want
	}{
		{"nothing", nil, want{}},
		{"submitted", []job.Stored{submitted}, want{joblist.Submitted, "CREATED", "", "contact", true, ""}},
		{"running", []job.Stored{submitted, running}, want{joblist.Running, "RUNNING", "", "contact", true, ""}},
		{"the newest word of two", []job.Stored{submitted, running, pondering}, want{joblist.Running, "PONDERING", "", "lead", true, ""}},
		{"not submitted here", []job.Stored{pondering}, want{joblist.Running, "PONDERING", "", "lead", false, ""}},
		{"overdue", []job.Stored{submitted, running, overdue}, want{joblist.Overdue, "RUNNING", "", "contact", true, ""}},
		{"overdue, with news", []job.Stored{submitted, overdue, running}, want{joblist.Overdue, "RUNNING", "", "contact", true, ""}},
		{"lost", []job.Stored{submitted, overdue, lost}, want{joblist.Lost, "CREATED", "", "contact", true, ""}},
		{"finished", []job.Stored{submitted, running, finished}, want{joblist.Finished, "COMPLETED", job.Partial, "contact", true, job.ByCallback}},
		{"finished after all", []job.Stored{submitted, overdue, lost, finished}, want{joblist.Finished, "COMPLETED", job.Partial, "contact", true, job.ByCallback}},
		{"finished unexpectedly", []job.Stored{finished}, want{joblist.Finished, "COMPLETED", job.Partial, "", false, job.ByCallback}},
		{"finished before its submission was answered", []job.Stored{finished, late}, want{joblist.Finished, "COMPLETED", job.Partial, "contact", true, job.ByCallback}},
		{"progress after the end", []job.Stored{finished, pondering}, want{joblist.Finished, "COMPLETED", job.Partial, "lead", false, job.ByCallback}},
		{"two ends", []job.Stored{submitted, finished, conflict}, want{joblist.Conflict, "COMPLETED", job.Partial, "contact", true, job.ByCallback}},
		{"errors", []job.Stored{submitted, finished, failures}, want{joblist.Finished, "COMPLETED", job.Partial, "contact", true, job.ByCallback}},
	} {
		j := joblist.Fold(tt.events)
		got := want{j.State, j.View.Status, j.View.Result, j.View.Object, j.Expected, j.Evidence}
		if got != tt.want {
			t.Errorf("%s: Fold = %+v, want %+v", tt.name, got, tt.want)
		}
		if len(j.History) != len(tt.events) || len(tt.events) > 0 && (j.First != tt.events[0].Sequence || j.Last != tt.events[len(tt.events)-1].Sequence) {
			t.Errorf("%s: Fold = history of %d, sequences %d to %d", tt.name, len(j.History), j.First, j.Last)
		}
	}

	j := joblist.Fold([]job.Stored{submitted, overdue, lost, finished, conflict, failures})
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"SubmittedAt", j.SubmittedAt, at(1)},
		{"OverdueAt", j.OverdueAt, at(4)},
		{"LostAt", j.LostAt, at(5)},
		{"FinishedAt", j.FinishedAt, at(6)},
		{"FilesUntil", j.FilesUntil, at(6).Add(72 * time.Hour)},
		{"Conflicts", j.Conflicts, 1},
		{"Errors", j.Errors, &joblist.ErrorsEvent{Sequence: 8, Count: 1, Truncated: true}},
		{"Payload", string(j.View.Payload), `{"n":7}`},
		{"the finished entry", j.History[3], joblist.Entry{
			Sequence: 6, Kind: job.Finished, Time: at(6), Status: "COMPLETED", Result: job.Partial,
			Evidence: job.ByCallback, Unexpected: true, Key: "k", Remote: "192.0.2.7",
		}},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s = %v, want %v", tt.what, tt.got, tt.want)
		}
	}
	if _, err := json.Marshal(j); err != nil {
		t.Error(err)
	}
}
