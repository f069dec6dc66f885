package job_test

import (
	"testing"
	"time"

	"receiver/internal/job"
)

func TestAClaimIsReadFromHeaders(t *testing.T) {
	receipt := job.Receipt{Signature: "sha256=abc", Key: "2026", Fingerprint: "sha256:fdef0e6f", Received: time.Now()}
	event := job.Event{Kind: job.Finished, Source: "demo", Job: job.View{ID: "1"}, Time: time.Now(), Evidence: job.ByCallback, Receipt: &receipt, Data: []byte("{}")}
	attempt := job.Attempt{Source: job.NoSource, Verdict: job.UnknownSource, Receipt: receipt, Size: 3, SHA256: "aa"}
	empty := job.Attempt{Source: "demo", Verdict: "missing", Receipt: receipt, SHA256: "aa"}
	for name, row := range map[string]struct {
		subject string
		header  map[string][]string
		want    job.Claim
	}{
		"event": {event.Subject(), event.Header().Map(), job.Claim{
			Source: "demo", Evidence: job.ByCallback, Signature: "sha256=abc", Key: "2026", Fingerprint: "sha256:fdef0e6f",
			Body: job.BodySHA256([]byte("{}")), Size: -1,
		}},
		"attempt": {attempt.Subject(), attempt.Header().Map(), job.Claim{
			Source: job.NoSource, Verdict: job.UnknownSource, Signature: "sha256=abc", Key: "2026", Fingerprint: "sha256:fdef0e6f", Body: "aa", Size: 3,
		}},
		"attempt of an empty body": {empty.Subject(), empty.Header().Map(), job.Claim{
			Source: "demo", Verdict: "missing", Signature: "sha256=abc", Key: "2026", Fingerprint: "sha256:fdef0e6f", Body: "aa", Size: 0,
		}},
	} {
		if got, err := job.ReadClaim(row.subject, row.header); err != nil || got != row.want {
			t.Errorf("%s: ReadClaim = %+v, %v, want %+v", name, got, err, row.want)
		}
	}
}

func TestClaimsOfMessagesThatAreNotOurs(t *testing.T) {
	for name, m := range map[string]struct {
		subject string
		header  map[string][]string
	}{
		"another subject":        {"orders.1", nil},
		"event without evidence": {"jobs.demo.1.finished", nil},
		"attempt without size":   {"attempts.demo.mismatch", nil},
		"attempt of less than 0": {"attempts.demo.mismatch", map[string][]string{"receiver-body-size": {"-1"}}},
		"attempt, two verdicts":  {"attempts.demo.a.b", map[string][]string{"receiver-body-size": {"1"}}},
		"attempt, no verdict":    {"attempts.demo.", map[string][]string{"receiver-body-size": {"1"}}},
		"attempt, wild source":   {"attempts.*.mismatch", map[string][]string{"receiver-body-size": {"1"}}},
	} {
		if c, err := job.ReadClaim(m.subject, m.header); err == nil {
			t.Errorf("%s: ReadClaim = %+v, want an error", name, c)
		}
	}
}
