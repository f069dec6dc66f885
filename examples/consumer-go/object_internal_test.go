package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
)

// TestABodyInTheObjectStoreIsRead reads as every consumer of the embedded server does: with
// what its credentials let it do and no more.
func TestABodyInTheObjectStoreIsRead(t *testing.T) {
	folder := t.TempDir()
	s, err := natsserver.Start(natsserver.Embedded{Folder: folder, Address: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	b, err := publish.Open(t.Context(), s, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	if _, err := b.AddDurable(t.Context(), durables.Durable{Name: "orders"}); err != nil {
		t.Fatal(err)
	}
	_, creds, err := consumers.Add(folder, "orders", []string{"orders"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "orders.creds")
	if err := os.WriteFile(file, creds, 0o600); err != nil {
		t.Fatal(err)
	}
	nc, err := connect(s.URL(), file, consumers.Inbox("orders"), "orders")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	orders, err := js.Consumer(t.Context(), "JOBS", "orders")
	if err != nil {
		t.Fatal(err)
	}
	for id, size := range map[string]int{"1": 100, "2": 8<<20 - 2048, "3": 8<<20 - 1, "4": 8 << 20} {
		body := append([]byte(`{"id":"`+id+`","status":"COMPLETED"}`), bytes.Repeat([]byte(" "), size)...)[:size]
		view, err := job.Read(body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Publish(t.Context(), job.Event{Kind: job.Finished, Source: "demo", Job: view, Time: time.Now(), Evidence: job.ByCallback, Data: body}); err != nil {
			t.Fatal(err)
		}
		msg, err := next(t.Context(), orders)
		if err != nil {
			t.Fatal(err)
		}
		if err := fromJobs(msg, "orders"); err != nil {
			t.Error(err)
		}
		got, err := bodyOf(t.Context(), js, msg)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("bodyOf gives %d bytes, %v, want the %d that were stored", len(got), err, size)
		}
	}
	lost := nats.Header{"receiver-data-ref": {"nats-object:PAYLOADS/none"}}
	if _, err := bodyOf(t.Context(), js, message{header: lost}); !errors.Is(err, errLost) {
		t.Errorf("bodyOf = %v, want that it is lost", err)
	}
}
