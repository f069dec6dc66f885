package natsserver_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// TestUnauthenticatedFloodKeepsNoConsumerOut holds as many connections as the port takes, opens
// more all the time, and signs in with none of them.
func TestUnauthenticatedFloodKeepsNoConsumerOut(t *testing.T) {
	c := newPortRigWith(t, func(e *natsserver.Embedded) { e.MaxConnections = 64 })
	address := strings.TrimPrefix(c.Server.URL(), "nats://")
	var opened atomic.Int64
	var flood sync.WaitGroup
	end := make(chan struct{})
	for range 4 {
		flood.Go(func() {
			var held []net.Conn
			defer func() {
				for _, conn := range held {
					_ = conn.Close()
				}
			}()
			for {
				select {
				case <-end:
					return
				default:
				}
				if conn, err := net.Dial("tcp", address); err == nil {
					opened.Add(1)
					held = append(held, conn)
					greeted(conn) // or the flood takes the processors, which no port can prevent
				}
				if len(held) > 50 {
					_ = held[0].Close()
					held = held[1:]
				}
			}
		})
	}
	defer flood.Wait()
	natstest.Eventually(t, "strangers to have every connection", func() bool { return opened.Load() > 200 })
	most := 0
	var looks sync.WaitGroup
	looks.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
				most = max(most, natsserver.Connections(c.Server))
			}
		}
	})
	defer func() {
		looks.Wait()
		if most > 64+16 { // the receiver's own do not count
			t.Errorf("the port took %d connections", most)
		}
	}()
	defer close(end)
	natstest.Eventually(t, "strangers to be counted", func() bool { return c.Refused("room") > 0 })
	for i := range 6 {
		var b *publish.Store
		var err error
		if i%2 == 0 {
			b, err = publish.Open(t.Context(), c.Server, conn.Options{})
		} else { // as another process of this machine does
			b, err = publish.Attach(t.Context(), c.folder, conn.Options{})
		}
		if err != nil {
			t.Fatalf("we cannot connect to our own server: %v", err)
		}
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	tries := 0
	natstest.Eventually(t, "a consumer to get in", func() bool {
		tries++
		nc, err := nats.Connect(c.Server.URL(), nats.UserCredentialBytes(c.creds["a"]), nats.Timeout(20*time.Second))
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	t.Logf("after %d connections of strangers; a consumer got in at attempt %d; %d were cut off", opened.Load(), tries, c.Refused("room"))
}

// greeted waits until the server has said something to a connection, or ended it.
func greeted(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = conn.Read(make([]byte, 1))
}

func TestAConsumerHasEightConnections(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	var all []*nats.Conn
	for range 8 {
		all = append(all, c.connect(t, "a", nats.NoReconnect()))
	}
	if _, err := nats.Connect(c.Server.URL(), nats.UserCredentialBytes(c.creds["a"])); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a ninth connection: %v, want that it is refused", err)
	}
	c.connect(t, "b")
	all[0].Close()
	natstest.Eventually(t, "room for one more", func() bool {
		nc, err := nats.Connect(c.Server.URL(), nats.UserCredentialBytes(c.creds["a"]))
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	if c.Refused("connections") == 0 {
		t.Error("nobody counted the ninth connection")
	}
}

// TestConsumersLeaveConnectionsForTheReceiver has consumers take what there is.
func TestConsumersLeaveConnectionsForTheReceiver(t *testing.T) {
	t.Parallel()
	c := newPortRigWith(t, func(e *natsserver.Embedded) { e.MaxConnections = 24 })
	refused := 0
	for _, name := range []string{"a", "b"} {
		for range 8 {
			nc, err := nats.Connect(c.Server.URL(), nats.UserCredentialBytes(c.creds[name]))
			if err != nil {
				refused++
				continue
			}
			defer nc.Close()
		}
	}
	if refused != 4 { // a quarter of 24 is for this process, and one for other commands
		t.Errorf("%d of 16 connections were refused, want 4", refused)
	}
	natstest.Open(t, c.Server)
	b, err := publish.Attach(t.Context(), c.folder, conn.Options{})
	if err != nil {
		t.Fatalf("another process of ours: %v", err)
	}
	_ = b.Close(t.Context())
}

// TestAFloodOfRequestsIsEnded asks as fast as it goes and listens to no answer, from one reply
// subject and from many. The number of waiting requests is limited: if the server does not answer
// at once, the connection ends. Beside other tests a flood may be too slow for that.
func TestAFloodOfRequestsIsEnded(t *testing.T) {
	for name, ask := range map[string]struct {
		subject, body string
		most          int
	}{
		"for events":      {"$JS.API.CONSUMER.MSG.NEXT.JOBS.a", `{"batch":1,"expires":60000000000}`, 1 << 19},
		"for bodies":      {"$JS.API.DIRECT.GET.OBJ_PAYLOADS", `{"seq":1,"batch":1}`, 1 << 16},
		"for information": {"$JS.API.CONSUMER.INFO.JOBS.a", "", 1 << 22},
		"for nothing":     {"$JS.ACK.JOBS.a.x", "+ACK", 1 << 16},
	} {
		t.Run(name, func(t *testing.T) {
			c := newPortRig(t)
			natstest.Store(t, c.Store, natstest.Event(job.Finished, "1", "COMPLETED"))
			gone := make(chan struct{})
			nc := c.connect(t, "a", nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
			if _, err := nc.Subscribe("_INBOX_a.>", func(*nats.Msg) {}); err != nil {
				t.Fatal(err)
			}
			calm := c.jetstream(t, "b")
			asked, ended, most := 0, false, 0
			for ; !ended && asked < ask.most; asked++ {
				to := "_INBOX_a.x"
				if asked%2 == 0 {
					to = fmt.Sprint("_INBOX_a.", asked)
				}
				if nc.PublishRequest(ask.subject, to, []byte(ask.body)) != nil {
					ended = true
				}
				select {
				case <-gone:
					ended = true
				default:
				}
				if asked%1000 == 0 {
					most = max(most, natsserver.PendingAnswers(c.Server))
				}
			}
			if name == "for events" || name == "for information" {
				natstest.Eventually(t, "the flood to be ended and counted", func() bool { return ended && c.Refused("flood") > 0 })
			} else if c.Refused("flood") > 0 {
				t.Errorf("after %d requests the connection is ended", asked)
			}
			next(t, calm, "b") // others do not notice
			if _, err := c.Durable(t.Context(), "a"); err != nil {
				t.Error(err)
			}
			natstest.Store(t, c.Store, natstest.Event(job.Finished, "2", "COMPLETED"))
			if most > 150_000 {
				t.Errorf("%d answers were waited for", most)
			}
			t.Logf("%d requests, %d waited for at most", asked, most)
		})
	}
}

// next takes an event from a consumer's durable and acknowledges it.
func next(t *testing.T, js jetstream.JetStream, durable string) {
	t.Helper()
	d, err := js.Consumer(t.Context(), conn.JobsStream, durable)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := d.Next(jetstream.FetchMaxWait(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if err := msg.DoubleAck(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestARemovedConsumerIsOutWithinASecond(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	for name, away := range map[string]bool{"a": false, "b": true} {
		gone := make(chan struct{})
		c.connect(t, name, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
		if away { // as while the store is started again
			defer natsserver.PauseChecks(c.Server)()
		}
		if _, err := consumers.Remove(c.folder, name); err != nil {
			t.Fatal(err)
		}
		select {
		case <-gone:
		case <-time.After(time.Minute):
			t.Errorf("consumer %s is still connected, with the store's turn taken: %v", name, away)
		}
		if _, err := nats.Connect(c.Server.URL(), nats.UserCredentialBytes(c.creds[name])); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("consumer %s comes back: %v", name, err)
		}
	}
}

// TestInvalidProtocolEndsTheConnection says what no client library does.
func TestInvalidProtocolEndsTheConnection(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	before := c.state(t)
	a := c.key(t, "a")
	var wg sync.WaitGroup
	for name, says := range map[string]string{
		"a message before it signs in":      "PUB jobs.demo.1.finished 2\r\n{}\r\n",
		"a subscription before it signs in": "SUB > 1\r\n",
		"a request before it signs in":      "PUB $JS.API.STREAM.DELETE.JOBS _INBOX.x 0\r\n\r\n",
		"a line without an end":             "CONNECT " + strings.Repeat("x", 1<<20),
		"a route":                           "RS+ RECEIVER jobs.> 1\r\n",
		"a leaf":                            "LS+ jobs.>\r\n",
		"a leaf's message":                  "LMSG jobs.demo.1.finished 2\r\n{}\r\n",
		"a route's message":                 "RMSG RECEIVER jobs.demo.1.finished 2\r\n{}\r\n",
		"an account's word":                 "A+ RECEIVER\r\n",
		"HTTP":                              "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
		"MQTT":                              "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd",
		"nothing":                           "",
	} {
		p := dialPort(t, c.Server)
		wg.Go(func() { p.cutOff(name, says) })
	}
	for name, says := range map[string]string{
		"a route's words":    "RS+ RECEIVER jobs.> 1\r\n",
		"a leaf's words":     "LS+ jobs.>\r\n",
		"a leaf's message":   "LMSG jobs.demo.1.finished 2\r\n{}\r\n",
		"a route's message":  "RMSG RECEIVER jobs.demo.1.finished 2\r\n{}\r\n",
		"a control line":     "PUB " + strings.Repeat("x", 8192) + " 0\r\n\r\n",
		"a payload":          "PUB $JS.ACK.JOBS.a.x 99999999\r\n",
		"a negative payload": "PUB $JS.ACK.JOBS.a.x -1\r\n",
	} {
		p := dialPort(t, c.Server)
		if answer := p.greet(greeting{Nkey: public(t, a), Sig: sign(t, a, p.nonce), Echo: true, Headers: true, Silent: true}); answer != "PONG\r\n" {
			t.Fatalf("the server says %q", answer)
		}
		wg.Go(func() { p.cutOff("a consumer with "+name, says) })
	}
	wg.Wait()
	if after := c.state(t); after != before {
		t.Errorf("the store was changed from\n%s\nto\n%s", before, after)
	}
}

// cutOff says something and waits until the server ends the connection.
func (p *socket) cutOff(name, says string) {
	_, _ = p.Write([]byte(says)) // it may be cut off before the end
	_, err := io.Copy(io.Discard, p.lines)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		p.t.Errorf("%s: it stays connected", name)
	}
}

// TestAConsumerThatDoesNotReadIsEnded asks for bodies on several connections, each of which the
// server alone would bear, and reads none.
func TestAConsumerThatDoesNotReadIsEnded(t *testing.T) {
	c := newPortRig(t)
	natstest.Store(t, c.Store, natstest.Largest(natstest.Event(job.Finished, "1", "COMPLETED")))
	a := c.key(t, "a")
	for range 5 {
		p := dialPort(t, c.Server)
		if answer := p.greet(greeting{Nkey: public(t, a), Sig: sign(t, a, p.nonce), Headers: true}); answer != "PONG\r\n" {
			t.Fatalf("the server says %q", answer)
		}
		p.say("SUB _INBOX_a.> 1\r\n")
		for i := range 6 {
			request := `{"seq":1,"batch":100,"next_by_subj":"$O.PAYLOADS.>"}`
			p.say("PUB $JS.API.DIRECT.GET.OBJ_PAYLOADS _INBOX_a.%d %d\r\n%s\r\n", i, len(request), request)
		}
	}
	most := 0
	natstest.Eventually(t, "the slowest to be disconnected", func() bool {
		most = max(most, natsserver.Pending(c.Server))
		return c.Refused("flood") > 0
	})
	natstest.Eventually(t, "less to wait", func() bool { return natsserver.Pending(c.Server) <= 128<<20 })
	next(t, c.jetstream(t, "b"), "b")
	t.Logf("%d MiB waited at most, %d connections ended", most>>20, c.Refused("flood"))
}
