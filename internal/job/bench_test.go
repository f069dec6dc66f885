package job_test

import (
	"testing"
	"time"

	"receiver/internal/job"
)

// notification is the example of the contract's section 6.2.
const notification = `{"id":"42114492","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1,` +
	`"instanceId":425904,"object_name":"contact","job_direction":"UPLOAD","fileFormat":"csv"}`

func BenchmarkRead(b *testing.B) {
	body := []byte(notification)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := job.Read(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	e := finished(b, []byte(notification))
	b.ReportAllocs()
	for b.Loop() {
		e.Header()
	}
}

// finished returns the event of a callback with the given body, as callback makes it.
func finished(tb testing.TB, body []byte) job.Event {
	tb.Helper()
	v, err := job.Read(body)
	if err != nil {
		tb.Fatalf("Read(%q): %v", body, err)
	}
	at := time.Date(2026, 11, 23, 12, 30, 0, 123456789, time.UTC)
	return job.Event{
		Kind: job.Finished, Source: "demo", Job: v, Time: at, Evidence: job.ByCallback, Data: body,
		Receipt: &job.Receipt{
			Signature: "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ=",
			Key:       "2026", Fingerprint: "sha256:0a1b2c3d", Remote: "192.0.2.7:41234", Received: at,
			Request: `{"Content-Type":["application/json"],"User-Agent":["platform/1"]}`,
		},
	}
}

// The body of the issue: 647 KiB that took 81 seconds.
func BenchmarkRedact(b *testing.B) {
	body := []byte(answers()["addresses of 16 bytes"](647 << 10))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, redacted, err := job.Redact(b.Context(), body); err != nil || !redacted {
			b.Fatal(redacted, err)
		}
	}
}

func BenchmarkHeaderOfALongError(b *testing.B) {
	body := []byte(answers()["a long error, not ASCII"](8 << 20))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		finished(b, body).Header()
	}
}
