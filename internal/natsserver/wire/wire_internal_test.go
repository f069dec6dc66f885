package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
)

// request sends a message and waits for its answer.
func request(ctx context.Context, w *Conn, id string) ([]byte, error) {
	a, err := w.Publish(ctx, Message{Subject: "jobs.demo." + id + ".finished", Header: []byte("ce-id: " + id + lineEnd), Data: []byte("x")})
	if err != nil {
		return nil, err
	}
	return a.Wait(ctx)
}

// toNobody is a wire to a server that takes everything and answers nothing, or, once
// something is published, what it says last.
func toNobody(t *testing.T, most int, last string) *Conn {
	t.Helper()
	owner, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	w := New(func() (net.Conn, error) {
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
	t.Cleanup(w.Close)
	return w
}

func TestAWireTakesNoMoreThanMayWait(t *testing.T) {
	w := toNobody(t, 1, "")
	ctx, giveUp := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := request(ctx, w, "1")
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
	if _, err := request(t.Context(), w, "2"); !errors.Is(err, errTooMany) {
		t.Errorf("a second one = %v, want errTooMany", err)
	}
	giveUp()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first one = %v, want an error of its context", err)
	}
	waits(0)
	if err := w.Drain(t.Context()); err != nil {
		t.Errorf("Drain = %v with nobody waiting", err)
	}
}

func TestWireReportsTheReasonOfACut(t *testing.T) {
	const why = "-ERR 'Stale Connection'\r\n"
	_, err := request(t.Context(), toNobody(t, 1, why), "1")
	if !errors.Is(err, errCut) || !strings.Contains(err.Error(), "Stale Connection") {
		t.Errorf("request = %v, want an error with what the server said", err)
	}
}

func TestWireToAWrongServer(t *testing.T) {
	owner, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{
		"hangs up": "", "no INFO": "PING\r\n", "no nonce": "INFO {}\r\n", "no JSON": "INFO {\r\n", "no protocol": "HTTP/1.1 400 Bad Request\r\n",
		"refuses": "-ERR 'Authorization Violation'\r\n",
	} {
		w := New(func() (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				fmt.Fprint(there, says)
				_ = there.Close()
			}()
			return here, nil
		}, owner, 1)
		if _, err := request(t.Context(), w, "1"); err == nil {
			t.Errorf("%s: request = nil, want an error", name)
		}
		w.Close()
	}
	w := New(func() (net.Conn, error) { return nil, errors.New("down") }, owner, 1)
	if _, err := request(t.Context(), w, "1"); err == nil {
		t.Errorf("request = nil, want an error")
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
