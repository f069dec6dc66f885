package job_test

import (
	"testing"
	"time"

	"receiver/internal/job"
)

// Unrecognised bodies in a stream are read from the current subject and from that of earlier
// versions, with the body and without.
func TestUnrecognisedBodiesAreRead(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 30, 0, 1, time.UTC)
	for name, body := range map[string]string{"a body": "<html>", "an empty one": ""} {
		e := job.Event{
			Kind: job.Unrecognised, Source: "demo", Time: at, Evidence: job.ByCallback, Receipt: proved(),
			Reason: job.ErrNotJSON.Error(), ContentType: "text/html", Data: []byte(body),
		}
		digest := job.BodySHA256(e.Data)
		for _, subject := range []string{"jobs.demo." + digest + ".unrecognised", "jobs.demo.unrecognised"} {
			for _, data := range [][]byte{e.Data, nil} {
				for _, header := range []job.Header{e.Header(), e.EncryptedHeader()} {
					got, err := job.ParseEvent(subject, header.Map(), data)
					if err != nil {
						t.Fatalf("%s: ParseEvent(%s): %v", name, subject, err)
					}
					if got.Subject() != "jobs.demo."+digest+".unrecognised" || got.ID() != e.ID() || got.Digest() != digest || got.Job.ID != "" {
						t.Errorf("%s: ParseEvent(%s) with %d bytes is on %s with id %s, digest %s and job %q", name, subject, len(data), got.Subject(), got.ID(), got.Digest(), got.Job.ID)
					}
				}
			}
			arrival, ok := job.ReadArrival(subject, e.Header().Map())
			if !ok || arrival.Job != "" || arrival.Source != "demo" || arrival.Body != digest {
				t.Errorf("%s: ReadArrival(%s) = %+v, %v, want one of no job", name, subject, arrival, ok)
			}
			if claim, err := job.ReadClaim(subject, e.Header().Map()); err != nil || claim.Source != "demo" || claim.Body != digest {
				t.Errorf("%s: ReadClaim(%s) = %+v, %v", name, subject, claim, err)
			}
		}
		if _, err := job.ParseEvent("jobs.demo."+job.BodySHA256([]byte("another"))+".unrecognised", e.Header().Map(), e.Data); err == nil {
			t.Errorf("%s: ParseEvent took it on the subject of another", name)
		}
	}
}
