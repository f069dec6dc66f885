package publish_test

import (
	"slices"
	"testing"
	"time"

	"receiver/internal/job"
)

func TestHas(t *testing.T) {
	b := open(t, start(t, t.TempDir()))
	if _, err := b.Publish(t.Context(), event(job.Submitted, "a.b", "CREATED")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		source, id string
		kind       job.Kind
		want       bool
	}{
		{"demo", "a.b", job.Submitted, true},
		{"demo", "a.b", job.Finished, false},
		{"demo", "a", job.Submitted, false},
		{"other", "a.b", job.Submitted, false},
	} {
		if got, err := b.Has(t.Context(), tt.source, tt.id, tt.kind); got != tt.want || err != nil {
			t.Errorf("Has(%s, %s, %s) = %v, %v, want %v", tt.source, tt.id, tt.kind, got, err, tt.want)
		}
	}
}

func TestAttemptsByVerdict(t *testing.T) {
	b := open(t, start(t, t.TempDir()))
	record := func(source, verdict, body string) {
		if err := b.Record(t.Context(), job.Attempt{
			Source: source, Verdict: verdict, Receipt: job.Receipt{Received: time.Now()}, Body: []byte(body), Size: int64(len(body)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	record("demo", job.Quarantined, "1")
	record("demo", job.Duplicate, "2")
	record("other", job.Quarantined, "3")
	record("demo", job.Quarantined, "4")
	for _, tt := range []struct {
		name, source, verdict string
		since                 time.Time
		want                  []string
	}{
		{"all of a verdict", "demo", job.Quarantined, time.Time{}, []string{"1", "4"}},
		{"since a while ago", "demo", job.Quarantined, time.Now().Add(-time.Hour), []string{"1", "4"}},
		{"since later", "demo", job.Quarantined, time.Now().Add(time.Hour), nil},
		{"of another source", "other", job.Quarantined, time.Time{}, []string{"3"}},
		{"none", "other", job.Late, time.Time{}, nil},
	} {
		var got []string
		for a, err := range b.Attempts(t.Context(), tt.source, tt.verdict, tt.since) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(a.Body))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: Attempts gave %q, want %q", tt.name, got, tt.want)
		}
	}
}
