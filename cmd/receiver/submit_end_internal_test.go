package main

import (
	"bytes"
	"testing"

	"receiver/internal/job"
)

// Whoever waits for a job gets exit code 0 for success alone.
func TestOnlySuccessEndsWaitingWell(t *testing.T) {
	for body, says := range map[string]string{
		`{"id":"x","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`: "",
		`{"status":"COMPLETED"}`: "",
		`{"id":"x","status":"COMPLETED","numOfLeadsProcessed":10,"numOfRowsFailed":3}`: "job x did not succeed: partial, status COMPLETED; see `receiver jobs errors x`",
		`{"id":"x","status":"COMPLETED","error":"gone"}`:                               "job x did not succeed: partial, status COMPLETED; see `receiver jobs errors x`",
		`{"id":"x","status":"COMPLETED","recordsCount":"many"}`:                        "job x is over, and the platform does not say in words that can be read how it ended: status COMPLETED; see `receiver jobs status x` and `receiver jobs show x`",
		`{"id":"x","status":"COMPLETED","jobStatus":"ABORTED","recordsFailedCount":0}`: "job x is over, and the platform does not say in words that can be read how it ended: status COMPLETED/ABORTED; see `receiver jobs status x` and `receiver jobs show x`",
	} {
		v, err := job.ReadAnswer("x", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var talk bytes.Buffer
		err = (&app{out: &talk, talk: &talk}).end(v, "test")
		if got := errorText(err); got != says {
			t.Errorf("%s ends waiting with %q, want %q", body, got, says)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
