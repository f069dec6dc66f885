package callback_test

import (
	"testing"

	"receiver/internal/job"
)

// A signed body is read with any of the platform's generations of names, and its bytes are kept as
// they were signed.
func TestASignedBodyIsNotTakenForSuccess(t *testing.T) {
	const mark = "\ufeff"
	for _, tt := range []struct {
		body   string
		kind   job.Kind
		result job.Result
	}{
		{`{"id":"x","status":"COMPLETED","numOfLeadsProcessed":10,"numOfRowsFailed":3}`, job.Finished, job.Partial},
		{`{"id":"x","status":"COMPLETED","recordsFailedCount":"some"}`, job.Finished, job.Undecided},
		{`{"id":"x","status":"COMPLETED","jobStatus":"ABORTED"}`, job.Finished, job.Undecided},
		{`{"id":"x","status":"COMPLETED","jobStatus":"RUNNING"}`, job.Progress, ""},
		{`{"id":"x","status":"COMPLETED","error":"gone"}`, job.Finished, job.Partial},
		{mark + `{"id":"x","status":"COMPLETED"}`, job.Finished, job.Succeeded},
		{mark + `{"id":"x","status":"COMPLETED","errorCount":"3.0"}` + "\r\n", job.Finished, job.Partial},
		{mark + mark + `{"id":"x","status":"COMPLETED"}`, job.Unrecognised, ""},
	} {
		s := &shelf{}
		if _, err := newReceiver(t, s).Accept(t.Context(), signed(demoSecret, tt.body)); err != nil {
			t.Fatalf("%q: %v", tt.body, err)
		}
		if e := s.events[0]; e.Kind != tt.kind || e.Job.Result != tt.result || string(e.Data) != tt.body {
			t.Errorf("%q makes a %s event with result %q and data %q, want %s %q and the bytes as signed", tt.body, e.Kind, e.Job.Result, e.Data, tt.kind, tt.result)
		}
	}
}
