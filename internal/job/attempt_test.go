package job_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
)

func TestAttemptRoundTrip(t *testing.T) {
	receipt := job.Receipt{
		Signature: "sha256=a, sha256=b", Remote: "192.0.2.7:41234",
		Received: time.Date(2026, 11, 23, 12, 30, 0, 5, time.UTC), Request: `{"Host":["x"]}`,
	}
	body := []byte("\x00 not JSON \xff")
	for _, tt := range []struct {
		name    string
		attempt job.Attempt
		subject string
	}{
		{"a refusal", job.Attempt{
			Source: "demo", Verdict: "mismatch", Receipt: receipt,
			Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body),
		}, "attempts.demo.mismatch"},
		{"a duplicate", job.Attempt{
			Source: "demo", Verdict: job.Duplicate, Receipt: receipt,
			Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body), Event: "42114492.finished",
		}, "attempts.demo.duplicate"},
		{"one that stands for three", job.Attempt{
			Source: "demo", Verdict: job.Duplicate, Receipt: receipt, Size: 3, SHA256: job.BodySHA256(body), Repeats: 3,
		}, "attempts.demo.duplicate"},
		{"a source that there is not", job.Attempt{
			Source: job.NoSource, Claimed: "nobody", Verdict: job.UnknownSource, Receipt: receipt,
			Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body),
		}, "attempts._.unknown_source"},
		{"a body over the bound", job.Attempt{
			Source: "demo", Verdict: "missing", Receipt: receipt, Size: 1 << 30, SHA256: job.BodySHA256(body),
		}, "attempts.demo.missing"},
		{"no body", job.Attempt{
			Source: "demo", Verdict: "missing", Receipt: receipt, Body: []byte{}, SHA256: job.BodySHA256(nil),
		}, "attempts.demo.missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.attempt.Subject(); got != tt.subject {
				t.Errorf("Subject = %s, want %s", got, tt.subject)
			}
			if _, told := tt.attempt.Header().Map()["receiver-repeats"]; told != (tt.attempt.Repeats > 0) {
				t.Errorf("receiver-repeats is there: %v, of %d repeats", told, tt.attempt.Repeats)
			}
			data := append([]byte{}, tt.attempt.Body...) // a message has a payload, if an empty one
			got, err := job.ParseAttempt(tt.attempt.Subject(), tt.attempt.Header().Map(), data)
			if err != nil || !reflect.DeepEqual(got, tt.attempt) {
				t.Errorf("ParseAttempt = %+v, %v\nwant %+v", got, err, tt.attempt)
			}
		})
	}
}

func TestAttemptHeaderIsPrintable(t *testing.T) {
	h := job.Attempt{
		Source: job.NoSource, Verdict: job.UnknownSource, Claimed: "~é\r\nce-result: succeeded",
		Receipt: job.Receipt{Signature: "\x00\xff\n", Remote: "\u2028", Request: "\x7f"},
	}.Header().Map()
	checkPrintable(t, h)
	if got, want := h["receiver-claimed-source"][0], "~???ce-result: succeeded"; got != want {
		t.Errorf("receiver-claimed-source = %q, want %q", got, want)
	}
}

func TestParseAttemptRefuses(t *testing.T) {
	ok := job.Attempt{Source: "demo", Verdict: "mismatch", Body: []byte("body"), Size: 4}
	for _, tt := range []struct {
		name, subject, header, value, data string
	}{
		{"another stream", "jobs.demo." + job.BodySHA256(nil) + ".unrecognised", "", "", "body"},
		{"no stream", "demo.mismatch", "", "", "body"},
		{"a source alone", "attempts.demo", "", "", "body"},
		{"too long", "attempts.demo.mis.match", "", "", "body"},
		{"no verdict", "attempts.demo.", "", "", "body"},
		{"no source", "attempts..mismatch", "", "", "body"},
		{"no such source", "attempts.Demo.mismatch", "", "", "body"},
		{"no time", ok.Subject(), "receiver-received", "yesterday", "body"},
		{"no size", ok.Subject(), "receiver-body-size", "4 bytes", "body"},
		{"a negative size", ok.Subject(), "receiver-body-size", "-4", ""},
		{"a body cut short", ok.Subject(), "", "", "bod"},
	} {
		h := ok.Header().Map()
		if tt.header != "" {
			h[tt.header] = []string{tt.value}
		}
		if got, err := job.ParseAttempt(tt.subject, h, []byte(tt.data)); err == nil {
			t.Errorf("%s: ParseAttempt = %+v, want an error", tt.name, got)
		}
	}
}

func checkPrintable(tb testing.TB, header map[string][]string) {
	tb.Helper()
	for name, values := range header {
		if len(values) != 1 || values[0] == "" || !isPrintable(values[0]) || strings.TrimSpace(values[0]) != values[0] {
			tb.Errorf("header %s = %.99q, want one value of printable ASCII", name, values)
		}
		if strings.Contains(strings.Join(values, ""), "Nats-") {
			tb.Errorf("header %s = %.99q could be taken for one that the server acts on", name, values)
		}
	}
}
