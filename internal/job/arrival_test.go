package job_test

import (
	"testing"
	"time"

	"receiver/internal/job"
)

func TestReadArrival(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 30, 0, 5, time.UTC)
	signed := job.Receipt{Signature: "sha256=x", Key: "2026", Fingerprint: "sha256:fdef0e6f", Received: at}
	refused := job.Receipt{Signature: "sha256=x", Received: at}
	sum := job.BodySHA256([]byte("{}"))
	event := func(k job.Kind, id string, r *job.Receipt) job.Event {
		return job.Event{Kind: k, Source: "demo", Job: job.View{ID: id}, Time: at, Receipt: r, Data: []byte("{}")}
	}
	attempt := func(source, verdict string, r job.Receipt) job.Attempt {
		return job.Attempt{Source: source, Verdict: verdict, Receipt: r, SHA256: sum}
	}
	type message interface {
		Subject() string
		Header() job.Header
	}
	for _, tt := range []struct {
		name    string
		message message
		want    job.Arrival
		ok      bool
	}{
		{"an event by a callback", event(job.Finished, "a.b", &signed),
			job.Arrival{Source: "demo", Job: "a.b", Key: "2026", Fingerprint: "sha256:fdef0e6f", Body: sum, Received: at}, true},
		{"unrecognised bytes", event(job.Unrecognised, "", &signed),
			job.Arrival{Source: "demo", Key: "2026", Fingerprint: "sha256:fdef0e6f", Body: sum, Received: at}, true},
		{"an event of our own", event(job.Submitted, "7", nil), job.Arrival{}, false},
		{"a duplicate", attempt("demo", job.Duplicate, signed),
			job.Arrival{Source: "demo", Verdict: job.Duplicate, Key: "2026", Fingerprint: "sha256:fdef0e6f", Body: sum, Received: at}, true},
		{"a duplicate of an event", job.Attempt{Source: "demo", Verdict: job.Late, Receipt: signed, SHA256: sum, Event: event(job.Finished, "a.b", nil).ID()},
			job.Arrival{Source: "demo", Verdict: job.Late, Job: "a.b", Key: "2026", Fingerprint: "sha256:fdef0e6f", Body: sum, Received: at}, true},
		{"a duplicate of unrecognised bytes", job.Attempt{Source: "demo", Verdict: job.Duplicate, Receipt: signed, SHA256: sum, Event: event(job.Unrecognised, "", nil).ID()},
			job.Arrival{Source: "demo", Verdict: job.Duplicate, Key: "2026", Fingerprint: "sha256:fdef0e6f", Body: sum, Received: at}, true},
		{"the platform's answer to our question, which a callback overtook", attempt("demo", job.Late, refused), job.Arrival{}, false},
		{"a refusal", attempt("demo", "mismatch", refused),
			job.Arrival{Source: "demo", Verdict: "mismatch", Body: sum, Received: at}, true},
		{"a record of forty repeats", job.Attempt{Source: "demo", Verdict: job.Duplicate, Receipt: signed, SHA256: sum, Repeats: 40},
			job.Arrival{Source: "demo", Verdict: job.Duplicate, Key: "2026", Fingerprint: "sha256:fdef0e6f", Body: sum, Received: at, Repeats: 40}, true},
		{"an attempt at a source that there is not", attempt(job.NoSource, job.UnknownSource, refused),
			job.Arrival{Source: job.NoSource, Verdict: job.UnknownSource, Body: sum, Received: at}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := job.ReadArrival(tt.message.Subject(), tt.message.Header().Map())
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("ReadArrival = %+v, %v\nwant %+v, %v", got, ok, tt.want, tt.ok)
			}
			if refused := tt.want.Verdict == "mismatch" || tt.want.Verdict == job.UnknownSource; ok && got.Accepted() == refused {
				t.Errorf("Accepted() = %v of %+v", got.Accepted(), got)
			}
			if ok && got.Authentic() != (tt.want.Key != "") {
				t.Errorf("Authentic() = %v of %+v", got.Authentic(), got)
			}
		})
	}
	for _, subject := range []string{"", "jobs.demo", "attempts.demo", "attempts.DEMO.mismatch", "watch.demo.7", "other"} {
		if got, ok := job.ReadArrival(subject, attempt("demo", "mismatch", refused).Header().Map()); ok {
			t.Errorf("ReadArrival(%q) = %+v, want false", subject, got)
		}
	}
}
