package publish_test

import (
	"slices"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
)

func TestHas(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	if _, err := b.Publish(t.Context(), natstest.Event(job.Submitted, "a.b", "CREATED")); err != nil {
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

func TestHasOutcome(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	b := natstest.Open(t, s)
	for _, e := range []job.Event{
		natstest.Event(job.Progress, "1", "RUNNING"), natstest.Event(job.Finished, "1", "COMPLETED"), natstest.Event(job.Conflict, "1", "ABORTED"),
		natstest.Event(job.Progress, "2", "RUNNING"),
	} {
		if _, err := b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		source, id, status string
		want               bool
	}{
		{"demo", "1", "COMPLETED", true},
		{"demo", "1", "success", true},
		{"demo", "1", "ABORTED", true},
		{"demo", "1", "CANCELLED", false},
		{"demo", "1", "RUNNING", false},
		{"demo", "2", "COMPLETED", false},
		{"other", "1", "COMPLETED", false},
	} {
		end := natstest.Event(job.Finished, tt.id, tt.status).Job
		for _, b := range []*publish.Store{b, natstest.Open(t, s)} { // with the cache of the writer, and without
			if got, err := b.HasOutcome(t.Context(), tt.source, end); got != tt.want || err != nil {
				t.Errorf("HasOutcome(%s, %s %s) = %v, %v, want %v", tt.source, tt.id, tt.status, got, err, tt.want)
			}
		}
	}
}

func TestAttemptsByVerdict(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
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
