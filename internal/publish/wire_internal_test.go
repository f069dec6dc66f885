package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/wire"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/sender"
)

// toServer returns a wire to a real server, a store on it, and a function that cuts the link.
func toServer(t *testing.T) (w *wire.Conn, b *Store, cut func()) {
	t.Helper()
	s, err := natsserver.Start(natsserver.Embedded{Folder: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	b, err = Open(t.Context(), s, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	var conn net.Conn
	w = wire.New(func() (net.Conn, error) {
		var err error
		conn, err = s.InProcessConn()
		return conn, err
	}, ownersKey(t, b), 100)
	t.Cleanup(w.Close)
	return w, b, func() { _ = conn.Close() }
}

// ownersKey returns the key of the server of b.
func ownersKey(t *testing.T, b *Store) nkeys.KeyPair {
	t.Helper()
	seed, err := os.ReadFile(filepath.Join(b.folder, "owner.nk"))
	if err != nil {
		t.Fatal(err)
	}
	owner, err := nkeys.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return owner
}

// request sends a message and waits for its acknowledgement.
func request(ctx context.Context, w *wire.Conn, msg *message, more job.Header) (*jetstream.PubAck, error) {
	return (&Store{wire: w}).sendAndWait(ctx, msg, more)
}

func sent(id string, data string) *message {
	return &message{"jobs.demo." + id + ".finished", job.Header(nil).Set("ce-id", id).Set("two", "a").Set("two", "b"), []byte(data)}
}

func TestWireStoresOnItsCondition(t *testing.T) {
	t.Parallel()
	w, b, _ := toServer(t)
	for _, tt := range []struct {
		name  string
		msg   *message
		more  job.Header
		seq   uint64
		taken bool
	}{
		{name: "first", msg: sent("1", "body"), more: expect(0), seq: 1},
		{name: "taken", msg: sent("1", "other"), more: expect(0), taken: true},
		{name: "after the first", msg: sent("1", ""), more: expect(1), seq: 2},
		{name: "without headers", msg: &message{subject: "jobs.demo.2.finished", data: []byte("x")}, seq: 3},
		{name: "a value that spells the condition", msg: &message{"jobs.demo.1.finished", job.Header("x: " + strings.Repeat(jetstream.ExpectedLastSubjSeqHeader, 2) + "\r\n"), nil},
			more: expect(0), taken: true},
		{name: "large", msg: sent("3", strings.Repeat("x", 1<<20)), more: expect(0), seq: 4},
	} {
		ack, err := request(t.Context(), w, tt.msg, tt.more)
		if sender.Taken(err) != tt.taken || err == nil && ack.Sequence != tt.seq {
			t.Errorf("%s: %+v, %v, want sequence %d, taken %v", tt.name, ack, err, tt.seq, tt.taken)
		}
		if tt.taken {
			continue
		}
		got, err := b.jobs.GetMsg(t.Context(), tt.seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, added := range []string{jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer} {
			got.Header.Del(added) // the server adds these to an answer
		}
		want := with(tt.msg, tt.more).Header
		if got.Subject != tt.msg.subject || !bytes.Equal(got.Data, tt.msg.data) || len(got.Header) != len(want) || len(want) > 0 && !reflect.DeepEqual(got.Header, want) {
			t.Errorf("%s: stored %s %q %.40q, want %s %q %.40q", tt.name, got.Subject, got.Header, got.Data, tt.msg.subject, want, tt.msg.data)
		}
	}
}

func TestWireStaysUsableAfterARefusal(t *testing.T) {
	t.Parallel()
	w, _, _ := toServer(t)
	if _, err := request(t.Context(), w, sent("1", strings.Repeat("x", 9<<20)), nil); !errors.Is(err, conn.ErrUnavailable) {
		t.Errorf("over the server's limit: %v, want ErrUnavailable", err)
	}
	if _, err := request(t.Context(), w, &message{subject: "nobody.is.there", data: []byte("x")}, nil); !errors.Is(err, conn.ErrUnavailable) {
		t.Errorf("a subject of no stream: %v, want ErrUnavailable", err)
	}
	if _, err := request(t.Context(), w, sent("1", "x"), nil); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// Messages that wait when the link is cut fail. The next message opens a new link.
func TestWireReconnects(t *testing.T) {
	t.Parallel()
	w, _, cut := toServer(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			_, err := request(t.Context(), w, sent(fmt.Sprint(i), "x"), nil)
			if err != nil && !errors.Is(err, conn.ErrUnavailable) {
				t.Errorf("request = %v, want nil or ErrUnavailable", err)
			}
			if i == 100 {
				cut()
			}
		})
	}
	wg.Wait()
	if err := w.Drain(t.Context()); err != nil {
		t.Errorf("Drain = %v", err)
	}
	// The first message may still use the link that was cut.
	for n := 0; ; n++ {
		_, err := request(t.Context(), w, sent("afterwards", "x"), nil)
		if err == nil {
			break
		}
		if n == 3 {
			t.Fatalf("after the cut: %v", err)
		}
	}
	w.Close()
	if _, err := request(t.Context(), w, sent("closed", "x"), nil); !errors.Is(err, conn.ErrUnavailable) {
		t.Errorf("after Close: %v, want ErrUnavailable", err)
	}
}

// toSilentServer returns a wire to a server that reads everything and answers nothing.
func toSilentServer(t *testing.T) *wire.Conn {
	t.Helper()
	owner, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	w := wire.New(func() (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			fmt.Fprint(there, `INFO {"nonce":"n","max_payload":1000}`+"\r\n")
			_, _ = io.Copy(io.Discard, there)
		}()
		return here, nil
	}, owner, maxPending)
	t.Cleanup(w.Close)
	return w
}
