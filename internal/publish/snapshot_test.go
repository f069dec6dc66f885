package publish_test

import (
	"bytes"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natstest"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	if data, err := b.Snapshot(t.Context()); data != nil || err != nil {
		t.Errorf("Snapshot before the first = %d bytes, %v", len(data), err)
	}
	for _, want := range [][]byte{[]byte("first"), bytes.Repeat([]byte("x"), 1<<20), {}, []byte("last")} {
		if err := b.SaveSnapshot(t.Context(), bytes.NewReader(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Snapshot(t.Context()); !bytes.Equal(got, want) || err != nil {
			t.Errorf("Snapshot = %d bytes, %v, want %d", len(got), err, len(want))
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	empty, first, last, err := b.Identity(t.Context())
	if err != nil || first > last+1 || last != 0 {
		t.Fatalf("Identity = %q, %d, %d, %v, want an empty stream", empty, first, last, err)
	}
	for _, id := range []string{"1", "2"} {
		if _, err := b.Publish(t.Context(), natstest.Event(job.Submitted, id, "CREATED")); err != nil {
			t.Fatal(err)
		}
	}
	name, first, last, err := b.Identity(t.Context())
	if err != nil || name != empty || first != 1 || last != 2 {
		t.Errorf("Identity = %q, %d, %d, %v, want %q, 1, 2", name, first, last, err, empty)
	}
	other, _, _, err := natstest.Open(t, natstest.Start(t, t.TempDir())).Identity(t.Context())
	if err != nil || other == name {
		t.Errorf("Identity of another stream = %q, %v, want another", other, err)
	}
}
