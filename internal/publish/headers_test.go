package publish_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"receiver/internal/job"
	"receiver/internal/publish"
)

func TestHeaders(t *testing.T) {
	b := open(t, start(t, t.TempDir()))
	read := func(stream string) (all []publish.Message) {
		t.Helper()
		if err := b.Headers(t.Context(), stream, func(m publish.Message) error { all = append(all, m); return nil }); err != nil {
			t.Fatalf("Headers(%s) = %v", stream, err)
		}
		return all
	}
	if got := read(publish.JobsStream); len(got) != 0 {
		t.Errorf("Headers of an empty stream gave %d messages", len(got))
	}
	for i := range 3 {
		if _, err := b.Publish(t.Context(), event(job.Finished, fmt.Sprint(i), "COMPLETED")); err != nil {
			t.Fatal(err)
		}
	}
	got := read(publish.JobsStream)
	if len(got) != 3 {
		t.Fatalf("Headers gave %d messages, want 3", len(got))
	}
	for i, m := range got {
		if m.Sequence != uint64(i+1) || m.Subject != fmt.Sprintf("jobs.demo.%d.finished", i) || len(m.Header["ce-type"]) != 1 || len(m.Data) != 0 || m.Time.IsZero() {
			t.Errorf("Headers gave %+v, want sequence %d with headers and without data", m, i+1)
		}
	}
	if got := read(publish.AttemptsStream); len(got) != 0 {
		t.Errorf("Headers of ATTEMPTS gave %d messages, want none", len(got))
	}
}

// What was read in part must not pass for the whole.
func TestHeadersBrokenOff(t *testing.T) {
	b := open(t, start(t, t.TempDir()))
	for i := range 3 {
		if _, err := b.Publish(t.Context(), event(job.Finished, fmt.Sprint(i), "COMPLETED")); err != nil {
			t.Fatal(err)
		}
	}
	enough := errors.New("enough")
	if err := b.Headers(t.Context(), publish.JobsStream, func(publish.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Headers = %v, want the error of yield", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Headers(ctx, publish.JobsStream, func(publish.Message) error { return nil }); err == nil {
		t.Error("Headers with a context that is done gave no error")
	}
}
