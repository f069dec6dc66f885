package natstest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

// LongTimeout bounds writes and reads in tests in which none should fail: a busy machine is no
// fault. Tests of outages keep to the program's own timeout, or to a shorter one.
const LongTimeout = 30 * time.Second

// Dial opens the streams of a cluster until the test ends.
func Dial(t *testing.T, e conn.External, o conn.Options) *publish.Store {
	t.Helper()
	b, err := publish.Dial(t.Context(), e, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

// OpenWith opens the streams of an embedded server until the test ends.
func OpenWith(t testing.TB, s *natsserver.Server, o conn.Options) *publish.Store {
	t.Helper()
	b, err := publish.Open(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Embedded is how the tests run the embedded server: on a free port, without a log.
func Embedded(folder string) natsserver.Embedded {
	return natsserver.Embedded{Folder: folder, Address: "127.0.0.1:0", Log: zerolog.Nop()}
}

// EmbeddedEdge is Embedded for an edge of a hub at an address.
func EmbeddedEdge(folder, name, hub string) natsserver.Embedded {
	e := Embedded(folder)
	e.Edge = &natsserver.Edge{Name: name, Hub: conn.External{URLs: []string{"nats://" + hub}}, Domain: "hub"}
	return e
}

// Start runs an embedded server on a folder until the test ends.
func Start(t testing.TB, folder string) *natsserver.Server {
	t.Helper()
	s, err := natsserver.Start(Embedded(folder))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Open is OpenWith without options.
func Open(t testing.TB, s *natsserver.Server) *publish.Store {
	return OpenWith(t, s, conn.Options{Timeout: LongTimeout})
}

// Survey is a survey of an embedded server.
func Survey(t *testing.T, s *natsserver.Server, o conn.Options) (*schema.Survey, error) {
	t.Helper()
	at, err := s.Endpoint()
	if err != nil {
		t.Fatal(err)
	}
	return schema.SurveyEndpoint(t.Context(), at, o)
}

// SurveyFolder is a survey of the server that runs on a folder.
func SurveyFolder(t *testing.T, folder string) (*schema.Survey, error) {
	t.Helper()
	at, err := natsserver.Running(folder)
	if err != nil {
		return nil, err
	}
	return schema.SurveyEndpoint(t.Context(), at, conn.Options{})
}

// Count returns how many messages a stream holds.
func Count(t *testing.T, b *publish.Store, stream string) (n int) {
	t.Helper()
	for _, err := range b.Messages(t.Context(), publish.Watch{Stream: stream}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Store publishes an event.
func Store(t testing.TB, b *publish.Store, e job.Event) job.Stored {
	t.Helper()
	got, err := b.Publish(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Must fails the test by an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until the condition holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("timed out waiting for %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// ExtentOf is what a stream holds.
func ExtentOf(t *testing.T, b *publish.Store, stream string) publish.Extent {
	t.Helper()
	e, err := b.Extent(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Flush waits until the server has what was sent.
func Flush(t *testing.T, nc *nats.Conn) {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// OwnersKey is the key of a folder's owner.
func OwnersKey(t *testing.T, folder string) nkeys.KeyPair {
	t.Helper()
	seed, err := os.ReadFile(filepath.Join(folder, "owner.nk"))
	if err != nil {
		t.Fatal(err)
	}
	owner, err := nkeys.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return owner
}
