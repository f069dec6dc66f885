package publish

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"receiver/internal/job"
)

// toServer returns a wire to a real server, a bus to it, and what cuts the wire's link.
func toServer(t *testing.T) (w *wire, b *Bus, cut func()) {
	t.Helper()
	s, err := Start(Embedded{Folder: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	b, err = s.Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	var conn net.Conn
	w = newWire(func() (net.Conn, error) {
		var err error
		conn, err = s.InProcessConn()
		return conn, err
	}, s.owner, 100)
	t.Cleanup(w.close)
	return w, b, func() { _ = conn.Close() }
}

// request sends a message and waits for its answer.
func request(ctx context.Context, w *wire, msg *message, more ...header) ([]byte, error) {
	waiting, token, err := w.send(ctx, msg, true, more)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return w.wait(ctx, waiting, token)
}

func sent(id string, data string) *message {
	return &message{"jobs.demo." + id + ".finished", job.Header(nil).Set("ce-id", id).Set("two", "a").Set("two", "b"), []byte(data)}
}

func TestAWireStoresOnItsCondition(t *testing.T) {
	w, b, _ := toServer(t)
	for _, tt := range []struct {
		name  string
		msg   *message
		more  []header
		seq   uint64
		taken bool
	}{
		{name: "first", msg: sent("1", "body"), more: []header{expect(0)}, seq: 1},
		{name: "taken", msg: sent("1", "other"), more: []header{expect(0)}, taken: true},
		{name: "after the first", msg: sent("1", ""), more: []header{expect(1)}, seq: 2},
		{name: "without headers", msg: &message{subject: "jobs.demo.2.finished", data: []byte("x")}, seq: 3},
		{name: "a value that spells the condition", msg: &message{"jobs.demo.1.finished", job.Header("x: " + strings.Repeat(jetstream.ExpectedLastSubjSeqHeader, 2) + "\r\n"), nil},
			more: []header{expect(0)}, taken: true},
		{name: "large", msg: sent("3", strings.Repeat("x", 1<<20)), more: []header{expect(0)}, seq: 4},
	} {
		answer, err := request(t.Context(), w, tt.msg, tt.more...)
		if err != nil {
			t.Fatalf("%s: request = %v", tt.name, err)
		}
		ack, err := readAck(answer)
		if isTaken(err) != tt.taken || err == nil && ack.Sequence != tt.seq {
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
			got.Header.Del(added) // by whoever reads
		}
		want := with(tt.msg, tt.more).Header
		if got.Subject != tt.msg.subject || !bytes.Equal(got.Data, tt.msg.data) || len(got.Header) != len(want) || len(want) > 0 && !reflect.DeepEqual(got.Header, want) {
			t.Errorf("%s: stored %s %q %.40q, want %s %q %.40q", tt.name, got.Subject, got.Header, got.Data, tt.msg.subject, want, tt.msg.data)
		}
	}
}

func TestAWireRefusesWhatTheServerWouldHangUpOn(t *testing.T) {
	w, _, _ := toServer(t)
	if _, err := request(t.Context(), w, sent("1", strings.Repeat("x", 9<<20))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("over the server's limit: %v, want ErrUnavailable", err)
	}
	if _, err := request(t.Context(), w, &message{subject: "nobody.is.there", data: []byte("x")}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a subject of no stream: %v, want ErrUnavailable", err)
	}
	if _, err := request(t.Context(), w, sent("1", "x")); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// What waits when the link is cut fails, and the next message makes a new link.
func TestAWireIsMended(t *testing.T) {
	w, _, cut := toServer(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			_, err := request(t.Context(), w, sent(fmt.Sprint(i), "x"))
			if err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("request = %v, want nil or ErrUnavailable", err)
			}
			if i == 100 {
				cut()
			}
		})
	}
	wg.Wait()
	if err := w.settle(t.Context()); err != nil {
		t.Errorf("settle = %v", err)
	}
	// The first may still be sent into the link that was cut.
	for n := 0; ; n++ {
		_, err := request(t.Context(), w, sent("afterwards", "x"))
		if err == nil {
			break
		}
		if n == 3 {
			t.Fatalf("after the cut: %v", err)
		}
	}
	w.close()
	if _, err := request(t.Context(), w, sent("closed", "x")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after close: %v, want ErrUnavailable", err)
	}
}

// toNobody is a wire to a server that takes everything and answers nothing, or, once
// something is published, what it says last.
func toNobody(t *testing.T, most int, last string) *wire {
	t.Helper()
	owner, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(func() (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			fmt.Fprint(there, `INFO {"nonce":"n","max_payload":1000}`+"\r\n")
			r := bufio.NewReader(there)
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if last != "" && strings.HasPrefix(line, "HPUB ") {
					go func() { fmt.Fprint(there, last) }()
				}
			}
		}()
		return here, nil
	}, owner, most)
	t.Cleanup(w.close)
	return w
}

func TestAWireTakesNoMoreThanMayWait(t *testing.T) {
	w := toNobody(t, 1, "")
	ctx, giveUp := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := request(ctx, w, sent("1", "x"))
		first <- err
	}()
	waits := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
			w.mu.Lock()
			got := len(w.pending)
			w.mu.Unlock()
			if got == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d wait, want %d", got, n)
			}
		}
	}
	waits(1)
	if _, err := request(t.Context(), w, sent("2", "x")); !errors.Is(err, errTooMany) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("a second one = %v, want errTooMany", err)
	}
	giveUp()
	if err := <-first; !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the first one = %v, want ErrUnavailable by its context", err)
	}
	waits(0)
	if err := w.settle(t.Context()); err != nil {
		t.Errorf("settle = %v with nobody waiting", err)
	}
}

func TestAWireTellsWhyItWasCut(t *testing.T) {
	const why = "-ERR 'Stale Connection'\r\n"
	_, err := request(t.Context(), toNobody(t, 1, why), sent("1", "x"))
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errCut) || !strings.Contains(err.Error(), "Stale Connection") {
		t.Errorf("request = %v, want ErrUnavailable with what the server said", err)
	}
}

func TestAWireToNobody(t *testing.T) {
	owner, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{
		"hangs up": "", "no INFO": "PING\r\n", "no nonce": "INFO {}\r\n", "no JSON": "INFO {\r\n", "no protocol": "HTTP/1.1 400 Bad Request\r\n",
		"refuses": "-ERR 'Authorization Violation'\r\n",
	} {
		w := newWire(func() (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				fmt.Fprint(there, says)
				_ = there.Close()
			}()
			return here, nil
		}, owner, 1)
		if _, err := request(t.Context(), w, sent("1", "x")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: request = %v, want ErrUnavailable", name, err)
		}
		w.close()
	}
	w := newWire(func() (net.Conn, error) { return nil, errors.New("down") }, owner, 1)
	if _, err := request(t.Context(), w, sent("1", "x")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("request = %v, want ErrUnavailable", err)
	}
}

// FuzzLineReader holds that nothing a server could say brings a panic, or a message of
// another size than it claims.
func FuzzLineReader(f *testing.F) {
	for _, s := range []string{
		"MSG _INBOX.a.1 1 2\r\n{}\r\n", "HMSG _INBOX.a.1 1 reply 16 18\r\nNATS/1.0 503\r\n\r\n{}\r\n", "PING\r\nPONG\r\n+OK\r\n-ERR 'x'\r\n",
		"INFO {\"nonce\":\"x\"}\r\n", "MSG a 1 -1\r\n", "HMSG a 1 9 3\r\n", "MSG a 1 99999999999\r\n", "MSG\r\n", "\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, says []byte) {
		r := newLineReader(bytes.NewReader(says))
		for {
			in, err := r.next()
			if err != nil {
				return
			}
			if in.subject != nil && !bytes.Contains(says, append(append([]byte{}, in.header...), in.data...)) {
				t.Errorf("made up %q and %q", in.header, in.data)
			}
		}
	})
}
