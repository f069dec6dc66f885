package natsserver_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
)

// TestAConsumerReads does what a consumer is for: it takes events from its durable, acknowledges
// them, reads the body that one refers to, and looks at how far it has come.
func TestAConsumerReads(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	want := natstest.Store(t, c.Store, natstest.Event(job.Finished, "1", "COMPLETED"))
	big := natstest.Store(t, c.Store, natstest.Largest(natstest.Event(job.Finished, "2", "COMPLETED")))
	js := c.jetstream(t, "a")
	durable, err := js.Consumer(t.Context(), conn.JobsStream, "a")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := durable.Next(jetstream.FetchMaxWait(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(msg.Data()); got != string(want.Data) || msg.Headers().Get("ce-id") != want.ID() {
		t.Errorf("got %s %s, want %s %s", msg.Headers().Get("ce-id"), got, want.ID(), want.Data)
	}
	if err := msg.DoubleAck(t.Context()); err != nil {
		t.Error(err)
	}
	if msg, err = durable.Next(jetstream.FetchMaxWait(time.Minute)); err != nil {
		t.Fatal(err)
	}
	name, ok := strings.CutPrefix(msg.Headers().Get("receiver-data-ref"), "nats-object:PAYLOADS/")
	if !ok || len(msg.Data()) > 0 {
		t.Fatalf("the event has %d bytes and the headers %v, want a reference to its body", len(msg.Data()), msg.Headers())
	}
	if got := body(t, js, name); !bytes.Equal(got, big.Data) {
		t.Errorf("the body has %d other bytes than were stored", len(got))
	}
	if err := msg.DoubleAck(t.Context()); err != nil {
		t.Error(err)
	}
	info, err := durable.Info(t.Context())
	if err != nil || info.AckFloor.Stream != big.Sequence || info.NumPending != 0 {
		t.Errorf("the durable after the acknowledgements: %+v, %v, want the floor at %d", info, err, big.Sequence)
	}
	if p, err := c.Durable(t.Context(), "a"); err != nil || p.Pending != 0 || p.Unacknowledged != 0 {
		t.Errorf("Durable(a) = %+v, %v, want that nothing is left", p, err)
	}
	if p, err := c.Durable(t.Context(), "b"); err != nil || p.Pending != 2 {
		t.Errorf("Durable(b) = %+v, %v, want both events", p, err)
	}
}

// body reads a body from the object store, message by message.
func body(t *testing.T, js jetstream.JetStream, name string) (got []byte) {
	t.Helper()
	bodies, err := js.Stream(t.Context(), "OBJ_PAYLOADS")
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.ObjectStore(t.Context(), conn.PayloadBucket)
	if err != nil {
		t.Fatal(err)
	}
	info, err := bucket.GetInfo(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for next := uint64(1); uint64(len(got)) < info.Size; {
		chunk, err := bodies.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject("$O.PAYLOADS.C."+info.NUID))
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", len(got), info.Size, err)
		}
		got, next = append(got, chunk.Data...), chunk.Sequence+1
	}
	return got
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	c.admit(t, "gone")
	gone := c.key(t, "gone")
	if _, err := consumers.Remove(c.folder, "gone"); err != nil {
		t.Fatal(err)
	}
	owner := natstest.OwnersKey(t, c.folder)
	stranger, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.key(t, "a"), c.key(t, "b")
	said := dialPort(t, c.Server).nonce // to another connection
	for name, says := range map[string]func(nonce string) greeting{
		"nothing":                              func(string) greeting { return greeting{} },
		"a user and a password":                func(string) greeting { return greeting{User: "a", Pass: "a"} },
		"the owner's account as a user":        func(string) greeting { return greeting{User: "RECEIVER"} },
		"a consumer's key as a user":           func(string) greeting { return greeting{User: public(t, a)} },
		"a token":                              func(string) greeting { return greeting{Token: public(t, a)} },
		"a key that nobody knows":              func(n string) greeting { return greeting{Nkey: public(t, stranger), Sig: sign(t, stranger, n)} },
		"only a signature of it":               func(n string) greeting { return greeting{Sig: sign(t, stranger, n)} },
		"the owner's key alone":                func(string) greeting { return greeting{Nkey: public(t, owner)} },
		"the owner's key, by another":          func(n string) greeting { return greeting{Nkey: public(t, owner), Sig: sign(t, a, n)} },
		"the owner's signature of another":     func(string) greeting { return greeting{Nkey: public(t, owner), Sig: sign(t, owner, said)} },
		"the owner's signature of nothing":     func(string) greeting { return greeting{Nkey: public(t, owner), Sig: sign(t, owner, "")} },
		"a consumer's key alone":               func(string) greeting { return greeting{Nkey: public(t, a)} },
		"a consumer's token alone":             func(string) greeting { return greeting{JWT: c.token(t, "a")} },
		"a consumer's token, by a stranger":    func(n string) greeting { return greeting{JWT: c.token(t, "a"), Sig: sign(t, stranger, n)} },
		"a consumer's key, by another":         func(n string) greeting { return greeting{Nkey: public(t, a), Sig: sign(t, b, n)} },
		"a consumer's signature of another":    func(string) greeting { return greeting{Sig: sign(t, a, said)} },
		"a consumer that was removed":          func(n string) greeting { return greeting{JWT: c.token(t, "gone"), Sig: sign(t, gone, n)} },
		"the key of a consumer that was":       func(n string) greeting { return greeting{Nkey: public(t, gone), Sig: sign(t, gone, n)} },
		"a signature that is none":             func(string) greeting { return greeting{Nkey: public(t, a), Sig: "%"} },
		"a key that is none":                   func(n string) greeting { return greeting{Nkey: "U", Sig: sign(t, a, n)} },
		"a consumer with an account in front":  func(string) greeting { return greeting{Nkey: public(t, a), Account: "RECEIVER"} },
		"the account of the owner, made anew":  func(string) greeting { return greeting{Account: "RECEIVER", NewAccount: true} },
		"a stranger with the system's account": func(n string) greeting { return greeting{User: "$SYS", Sig: sign(t, stranger, n)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dialPort(t, c.Server)
			if answer := p.greet(says(p.nonce)); !strings.HasPrefix(answer, "-ERR 'Authorization Violation'") {
				t.Errorf("the server says %q", answer)
			}
		})
	}
	for name, says := range map[string]func(nonce string) greeting{
		"the owner":                  func(n string) greeting { return greeting{Nkey: public(t, owner), Sig: sign(t, owner, n)} },
		"a consumer by its file":     func(n string) greeting { return greeting{JWT: c.token(t, "a"), Sig: sign(t, a, n)} },
		"a consumer by its key":      func(n string) greeting { return greeting{Nkey: public(t, a), Sig: sign(t, a, n)} },
		"by another's token and key": func(n string) greeting { return greeting{JWT: c.token(t, "b"), Sig: sign(t, a, n)} }, // is a, not b
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dialPort(t, c.Server)
			if answer := p.greet(says(p.nonce)); answer != "PONG\r\n" {
				t.Errorf("the server says %q", answer)
			}
		})
	}
}

func public(t *testing.T, key nkeys.KeyPair) string {
	t.Helper()
	s, err := key.PublicKey()
	if err != nil {
		t.Error(err)
	}
	return s
}

func sign(t *testing.T, key nkeys.KeyPair, nonce string) string {
	t.Helper()
	sig, err := key.Sign([]byte(nonce))
	if err != nil {
		t.Error(err)
	}
	return base64.RawURLEncoding.EncodeToString(sig)
}

// TestAConsumerCannotForge goes the ways around the denied subjects: a consumer has the server
// itself send a message to the subject of an event, or into another's inbox.
func TestAConsumerCannotForge(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	natstest.Store(t, c.Store, natstest.Largest(natstest.Event(job.Finished, "1", "COMPLETED"))) // its body is in the object store
	ours, err := owners(c.Store).SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	other := c.connect(t, "b")
	inbox, err := other.SubscribeSync(consumers.Inbox("b") + ".>")
	if err != nil {
		t.Fatal(err)
	}
	natstest.Flush(t, owners(c.Store))
	natstest.Flush(t, other)
	nc := c.connect(t, "a")
	js := c.jetstream(t, "a")
	targets := []string{"jobs.demo.9.finished", "jobs.demo.9.progress", consumers.Inbox("b") + ".x", "$JS.API.STREAM.DELETE.JOBS", "$JS.ACK.JOBS.b.1.1.1.1.0", "_R_.x"}
	for _, target := range targets {
		for _, ask := range []struct{ subject, body string }{
			{"$JS.API.CONSUMER.INFO.JOBS.a", ""},
			{"$JS.API.CONSUMER.MSG.NEXT.JOBS.a", "1"},
			{"$JS.API.STREAM.INFO.OBJ_PAYLOADS", ""},
			{"$JS.API.STREAM.MSG.GET.OBJ_PAYLOADS", `{"seq":1}`},
			{"$JS.API.DIRECT.GET.OBJ_PAYLOADS", `{"seq":1}`},
			{"$JS.API.DIRECT.GET.OBJ_PAYLOADS", `{"seq":1,"batch":2}`},
			{"$JS.API.DIRECT.GET.OBJ_PAYLOADS.$O.PAYLOADS.>", ""},
			{"$JS.ACK.JOBS.a.1.1.1.1.0", "+NXT"},
			{"$JS.ACK.JOBS.a.1.1.1.1.0", "+ACK"},
		} {
			for _, header := range []nats.Header{
				nil, {"Nats-Trace-Dest": {target}}, {"Nats-Msg-Id": {"x"}, "Nats-Rollup": {"all"}},
				{"Nats-Response-Type": {target}}, {"Nats-Expected-Stream": {"JOBS"}}, {"Reply-To": {target}},
			} {
				if err := nc.PublishMsg(&nats.Msg{Subject: ask.subject, Reply: target, Header: header, Data: []byte(ask.body)}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// When the server has answered these, it has dealt with what came before them.
	natstest.Flush(t, nc)
	if _, err := js.Consumer(t.Context(), conn.JobsStream, "a"); err != nil {
		t.Error(err)
	}
	natstest.Store(t, c.Store, natstest.Event(job.Finished, "2", "COMPLETED"))
	for m, err := range c.Messages(t.Context(), publish.Watch{}) {
		if err != nil || m.Subject != "jobs.demo.1.finished" && m.Subject != "jobs.demo.2.finished" {
			t.Errorf("JOBS holds %s %s %v, which a consumer made", m.Subject, m.Data, err)
		}
	}
	natstest.Flush(t, other)
	if n, _, err := inbox.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages came into the inbox of another consumer, %v", n, err)
	}
	for {
		msg, err := ours.NextMsg(100 * time.Millisecond)
		if errors.Is(err, nats.ErrTimeout) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range targets {
			if msg.Subject == target {
				t.Errorf("%s of our account got %q", target, msg.Data)
			}
		}
	}
	for _, d := range []string{"a", "b"} {
		if _, err := c.Durable(t.Context(), d); err != nil {
			t.Errorf("Durable(%s): %v", d, err)
		}
	}
}

// TestRemovedDurableIsRecreated takes away what the owner alone can: a consumer's durable, and
// the stream with all durables, as by a copy. Its credentials are good for one that is made again.
func TestRemovedDurableIsRecreated(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*testing.T, portRig) error{
		"the durable": func(t *testing.T, c portRig) error { return c.RemoveDurable(t.Context(), "a") },
		"the stream": func(t *testing.T, c portRig) error {
			return c.Store.JetStream().DeleteStream(t.Context(), conn.JobsStream)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newPortRig(t)
			js := c.jetstream(t, "a")
			if err := take(t, c); err != nil {
				t.Fatal(err)
			}
			if _, err := js.Consumer(t.Context(), conn.JobsStream, "a"); err == nil {
				t.Error("there is a durable still")
			}
			if name == "the stream" {
				natstest.Open(t, c.Server) // makes it
			}
			if _, err := c.Durable(t.Context(), "a"); !errors.Is(err, durables.ErrNoDurable) {
				t.Errorf("Durable = %v, want ErrNoDurable", err)
			}
			if existed, err := c.AddDurable(t.Context(), durables.Durable{Name: "a", AckWait: time.Minute, MaxDeliver: -1, MaxAckPending: 1}); existed || err != nil {
				t.Fatalf("AddDurable = %v, %v", existed, err)
			}
			natstest.Store(t, c.Store, natstest.Event(job.Finished, "1", "COMPLETED"))
			next(t, js, "a")
		})
	}
}
