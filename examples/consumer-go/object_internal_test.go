package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// TestABodyInTheObjectStoreIsRead reads as every consumer of the embedded server does: it
// connects without credentials.
func TestABodyInTheObjectStoreIsRead(t *testing.T) {
	s, err := publish.Start(publish.Embedded{Folder: t.TempDir(), Address: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	b, err := s.Open(t.Context(), publish.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for id, size := range map[string]int{"1": 100, "2": 8<<20 - 2048, "3": 8<<20 - 1, "4": 8 << 20} {
		body := append([]byte(`{"id":"`+id+`","status":"COMPLETED"}`), bytes.Repeat([]byte(" "), size)...)[:size]
		view, err := job.Read(body)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := b.Publish(t.Context(), job.Event{Kind: job.Finished, Source: "demo", Job: view, Time: time.Now(), Evidence: job.ByCallback, Data: body})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), "JOBS")
		if err != nil {
			t.Fatal(err)
		}
		msg, err := stream.GetMsg(t.Context(), stored.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bodyOf(t.Context(), js, message{header: msg.Header, data: msg.Data})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("bodyOf gives %d bytes, %v, want the %d that were stored", len(got), err, size)
		}
	}
	lost := nats.Header{"receiver-data-ref": {"nats-object:PAYLOADS/none"}}
	if _, err := bodyOf(t.Context(), js, message{header: lost}); !errors.Is(err, errLost) {
		t.Errorf("bodyOf = %v, want that it is lost", err)
	}
}
