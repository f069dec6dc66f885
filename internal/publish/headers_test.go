package publish_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// headers reads a whole stream without its data.
func headers(ctx context.Context, b *publish.Store, stream string, yield func(publish.Message) error) error {
	for m, err := range b.From(ctx, stream, publish.Position{}, true) {
		if err == nil {
			err = yield(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	read := func(stream string) (all []publish.Message) {
		t.Helper()
		if err := headers(t.Context(), b, stream, func(m publish.Message) error { all = append(all, m); return nil }); err != nil {
			t.Fatalf("Headers(%s) = %v", stream, err)
		}
		return all
	}
	if got := read(conn.JobsStream); len(got) != 0 {
		t.Errorf("Headers of an empty stream gave %d messages", len(got))
	}
	for i := range 3 {
		if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED")); err != nil {
			t.Fatal(err)
		}
	}
	got := read(conn.JobsStream)
	if len(got) != 3 {
		t.Fatalf("Headers gave %d messages, want 3", len(got))
	}
	for i, m := range got {
		if m.Sequence != uint64(i+1) || m.Subject != fmt.Sprintf("jobs.demo.%d.finished", i) || len(m.Header["ce-type"]) != 1 || len(m.Data) != 0 || m.Time.IsZero() {
			t.Errorf("Headers gave %+v, want sequence %d with headers and without data", m, i+1)
		}
	}
	if got := read(conn.AttemptsStream); len(got) != 0 {
		t.Errorf("Headers of ATTEMPTS gave %d messages, want none", len(got))
	}
}

// An interrupted read must not pass for a complete one.
func TestInterruptedReadOfHeadersIsAnError(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i := range 3 {
		if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED")); err != nil {
			t.Fatal(err)
		}
	}
	enough := errors.New("enough")
	if err := headers(t.Context(), b, conn.JobsStream, func(publish.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Headers = %v, want the error of yield", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := headers(ctx, b, conn.JobsStream, func(publish.Message) error { return nil }); err == nil {
		t.Error("Headers with a context that is done gave no error")
	}
}
