package job_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"receiver/internal/job"
)

func TestAnActionComesBackAsItWas(t *testing.T) {
	want := job.Action{
		What: job.ActionReverify, Time: time.Date(2026, 11, 23, 12, 30, 0, 1, time.UTC), Operator: "müller",
		Reason: "the key had a newline", Details: json.RawMessage(`{"accepted":2}`),
	}
	for _, details := range []json.RawMessage{want.Details, nil} {
		want.Details = details
		data, err := want.Data()
		if err != nil {
			t.Fatal(err)
		}
		got, err := job.ParseAction(want.Subject(), data)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseAction(%s, %s) = %+v, %v, want %+v", want.Subject(), data, got, err, want)
		}
	}
}

func TestActionsThatAreNone(t *testing.T) {
	for name, a := range map[string]job.Action{
		"no word":           {},
		"two tokens":        {What: "start.now"},
		"wildcard":          {What: "*"},
		"details no object": {What: "start", Details: json.RawMessage(`[1]`)},
		"details no JSON":   {What: "start", Details: json.RawMessage(`{`)},
	} {
		if data, err := a.Data(); err == nil {
			t.Errorf("%s: Data() = %s, want an error", name, data)
		}
	}
	for name, m := range map[string][2]string{
		"event's subject": {"jobs.demo.1.finished", `{"what":"start"}`},
		"no stream":       {"start", `{"what":"start"}`},
		"long subject":    {"actions.start.now", `{"what":"start.now"}`},
		"another action":  {"actions.start", `{"what":"cancel"}`},
		"no JSON":         {"actions.start", `start`},
	} {
		if a, err := job.ParseAction(m[0], []byte(m[1])); err == nil {
			t.Errorf("%s: ParseAction(%q) = %+v, want an error", name, m, a)
		}
	}
}
