package publish_test

import (
	"context"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// PublishRaw stores as Publish does: once, with and without group commit.
func TestPublishRawStoresOnce(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{false, true} {
		s, err := natsserver.Start(natsserver.Embedded{Folder: t.TempDir(), Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		b, err := publish.Open(t.Context(), s, conn.Options{OneByOne: alone, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close(context.Background()) })
		const subject = "jobs.bench.1.finished"
		if err := b.PublishRaw(t.Context(), subject, []byte("first")); err != nil {
			t.Errorf("one by one %v: PublishRaw = %v, want nil", alone, err)
		}
		if err := b.PublishRaw(t.Context(), subject, []byte("second")); err == nil {
			t.Errorf("one by one %v: PublishRaw on a subject that is taken = nil, want an error", alone)
		}
		n := 0
		for m, err := range b.Messages(t.Context(), publish.Watch{Stream: conn.JobsStream}) {
			if n++; err != nil || string(m.Data) != "first" {
				t.Errorf("one by one %v: message %q, %v, want %q", alone, m.Data, err, "first")
			}
		}
		if n != 1 {
			t.Errorf("one by one %v: %d messages, want 1", alone, n)
		}
	}
}
