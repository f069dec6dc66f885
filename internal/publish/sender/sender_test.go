package sender_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/cluster"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/sender"
)

func TestMain(m *testing.M) { natstest.Tests{M: m, AtOnce: 8}.Run() }

// rig is a sender on a real server with a stream.
type rig struct {
	*sender.Sender
	server *natstest.Server
	nc     *nats.Conn
	stream jetstream.Stream
}

// newRig returns a sender to a server that is reached at url, or at its own address.
func newRig(t *testing.T, s *natstest.Server, url string, most int, opts ...nats.Option) *rig {
	t.Helper()
	if url == "" {
		url = s.NATS.ClientURL()
	}
	tap := &sender.Tap{}
	opts = append(append(conn.BaseOptions(conn.Options{}), tap.Options(nil)...), opts...)
	nc, err := nats.Connect(url, opts...)
	natstest.Must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	natstest.Must(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
	natstest.Must(t, err)
	snd, err := sender.New(nc, tap, most)
	natstest.Must(t, err)
	t.Cleanup(snd.Close)
	return &rig{snd, s, nc, stream}
}

// store sends a message and waits for its acknowledgement.
func (r *rig) store(ctx context.Context, msg sender.Message) (uint64, error) {
	sent, err := r.Send(ctx, msg)
	if err != nil {
		return 0, err
	}
	return sent.Wait(ctx)
}

func finished(id, data string) sender.Message {
	return sender.Message{Subject: "jobs.demo." + id + ".finished", Header: job.Header(nil).Set("ce-id", id).Set("two", "a").Set("two", "b"), Data: []byte(data)}
}

func expect(last int) job.Header {
	return job.Header(fmt.Sprintf("%s: %d\r\n", jetstream.ExpectedLastSubjSeqHeader, last))
}

func with(msg sender.Message, more job.Header) sender.Message {
	msg.More = more
	return msg
}

// ways are the connections that a message may take: beside the library, or through it where it
// makes frames of its own.
func ways(t *testing.T) map[string]*rig {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	trust := nats.Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	encrypted := natstest.NewServerWith(t, server.Options{TLSConfig: &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12}, TLSTimeout: 10})
	port, err := cluster.FreePort()
	natstest.Must(t, err)
	sockets := natstest.NewServerWith(t, server.Options{Websocket: server.WebsocketOpts{Host: "127.0.0.1", Port: port, NoTLS: true}})
	return map[string]*rig{
		"plain":      newRig(t, natstest.NewServer(t, 0), "", 100),
		"TLS":        newRig(t, encrypted, "", 100, trust),
		"WebSockets": newRig(t, sockets, sockets.NATS.WebsocketURL(), 100),
	}
}

func TestMessagesAreStoredOnTheirCondition(t *testing.T) {
	t.Parallel()
	for way, r := range ways(t) {
		for _, tt := range []struct {
			name  string
			msg   sender.Message
			seq   uint64
			taken bool
		}{
			{name: "first", msg: with(finished("1", "body"), expect(0)), seq: 1},
			{name: "taken", msg: with(finished("1", "other"), expect(0)), taken: true},
			{name: "after the first", msg: with(finished("1", ""), expect(1)), seq: 2},
			{name: "without headers", msg: sender.Message{Subject: "jobs.demo.2.finished", Data: []byte("x")}, seq: 3},
			{name: "large", msg: with(finished("3", strings.Repeat("x", 900<<10)), expect(0)), seq: 4},
		} {
			before := r.nc.Stats().OutMsgs
			seq, err := r.store(t.Context(), tt.msg)
			if sender.Taken(err) != tt.taken || seq != tt.seq {
				t.Errorf("%s, %s: %d, %v, want %d, taken %v", way, tt.name, seq, err, tt.seq, tt.taken)
			}
			if beside := r.nc.Stats().OutMsgs == before; beside != (way == "plain") {
				t.Errorf("%s, %s: sent beside the library: %v", way, tt.name, beside)
			}
			if tt.taken {
				continue
			}
			got, err := r.stream.GetMsg(t.Context(), tt.seq)
			natstest.Must(t, err)
			want := nats.Header(job.MapOf(tt.msg.More, tt.msg.Header))
			if got.Subject != tt.msg.Subject || !bytes.Equal(got.Data, tt.msg.Data) || len(want) > 0 && !reflect.DeepEqual(got.Header, want) {
				t.Errorf("%s, %s: stored %s %q %.40q, want %s %q %.40q", way, tt.name, got.Subject, got.Header, got.Data, tt.msg.Subject, want, tt.msg.Data)
			}
		}
	}
}

// The server searches for its headers in values, too: the condition comes before them.
func TestAValueCannotHideTheCondition(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.NewServer(t, 0), "", 1)
	_, err := r.store(t.Context(), with(finished("1", ""), expect(0)))
	natstest.Must(t, err)
	msg := sender.Message{Subject: "jobs.demo.1.finished", Header: job.Header("x: " + strings.Repeat(jetstream.ExpectedLastSubjSeqHeader, 2) + "\r\n")}
	if _, err := r.store(t.Context(), with(msg, expect(0))); !sender.Taken(err) {
		t.Errorf("stored again: %v, want that the subject is taken", err)
	}
}

func TestASenderStaysUsableAfterARefusal(t *testing.T) {
	t.Parallel()
	for way, r := range ways(t) {
		if _, err := r.store(t.Context(), finished("1", strings.Repeat("x", 2<<20))); !errors.Is(err, conn.ErrUnavailable) {
			t.Errorf("%s: over the server's limit: %v, want ErrUnavailable", way, err)
		}
		if _, err := r.store(t.Context(), sender.Message{Subject: "nobody.is.there"}); !errors.Is(err, conn.ErrUnavailable) || !errors.Is(err, jetstream.ErrNoStreamResponse) {
			t.Errorf("%s: a subject of no stream: %v, want ErrUnavailable and the reason", way, err)
		}
		if _, err := r.store(t.Context(), finished("1", "x")); err != nil {
			t.Errorf("%s: after that: %v", way, err)
		}
		natstest.Must(t, r.Drain(t.Context()))
	}
}

// Messages that wait when the connection is lost fail; no other waits for its deadline. Once the
// library has connected again, messages are stored.
func TestALostConnection(t *testing.T) {
	t.Parallel()
	for way, r := range ways(t) {
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if _, err := r.store(t.Context(), finished(fmt.Sprint(i), "x")); err != nil && !errors.Is(err, conn.ErrUnavailable) {
					t.Errorf("%s: %v, want nil or ErrUnavailable", way, err)
				}
				if i == 100 {
					r.server.Stop()
				}
			})
		}
		wg.Wait()
		if _, err := r.store(t.Context(), finished("down", "x")); !errors.Is(err, conn.ErrUnavailable) {
			t.Errorf("%s: without a server: %v, want ErrUnavailable", way, err)
		}
		before := r.Connections()
		r.server.Start()
		natstest.Eventually(t, "a message is stored again, "+way, func() bool {
			_, err := r.store(t.Context(), with(finished("afterwards", "x"), expect(0)))
			return err == nil || sender.Taken(err)
		})
		if r.Connections() == before {
			t.Errorf("%s: the sender does not tell that the connection is another", way)
		}
		natstest.Must(t, r.Drain(t.Context()))
	}
}

// Other clients of the account see the subjects of acknowledgements, and may publish to them. A
// message gets the answer to itself only.
func TestAnswersToNothingAreIgnored(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	r := newRig(t, s, "", 1)
	other, err := nats.Connect(s.NATS.ClientURL())
	natstest.Must(t, err)
	defer other.Close()
	seen, err := other.SubscribeSync("seen")
	natstest.Must(t, err)
	natstest.Flush(t, other)
	before := "0"
	for want := range uint64(20) {
		sent, err := r.Send(t.Context(), sender.Message{Subject: "seen"})
		natstest.Must(t, err)
		msg, err := seen.NextMsg(time.Minute)
		natstest.Must(t, err)
		prefix, token := msg.Reply[:strings.LastIndex(msg.Reply, ".")+1], msg.Reply[strings.LastIndex(msg.Reply, ".")+1:]
		for _, wrong := range []string{before, "0", "-1", "00", "zzzzzzzzzzzzzzzzzzzzzzzz", "x"} {
			for _, says := range []string{`{"stream":"JOBS","seq":999}`, "", "{", `{"error":{"code":400,"err_code":10071}}`} {
				natstest.Must(t, other.Publish(prefix+wrong, []byte(says)))
			}
		}
		natstest.Must(t, other.Publish(msg.Reply, fmt.Appendf(nil, `{"stream":"JOBS","seq":%d}`, want+1)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		seq, err := sent.Wait(ctx)
		cancel()
		if err != nil || seq != want+1 {
			t.Fatalf("stored as %d, %v, want %d", seq, err, want+1)
		}
		before = token
		natstest.Must(t, other.Publish(prefix+"0", []byte(`{"stream":"JOBS","seq":999}`))) // while nothing waits
		natstest.Flush(t, other)
		natstest.Flush(t, r.nc)
	}
}

func TestASenderTakesNoMoreThanMayWait(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	silent, err := s.JetStream().Conn().Subscribe("silent", func(*nats.Msg) {}) // it answers nothing
	natstest.Must(t, err)
	natstest.Flush(t, s.Conn)
	r := newRig(t, s, "", 1)
	ctx, giveUp := context.WithCancel(t.Context())
	first, err := r.Send(ctx, sender.Message{Subject: silent.Subject})
	natstest.Must(t, err)
	if _, err := r.Send(t.Context(), sender.Message{Subject: silent.Subject}); !errors.Is(err, conn.ErrUnavailable) {
		t.Errorf("a second one = %v, want ErrUnavailable", err)
	}
	hurry, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := r.Drain(hurry); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain = %v while one waits, want that the time is over", err)
	}
	giveUp()
	if _, err := first.Wait(ctx); !errors.Is(err, conn.ErrUnavailable) {
		t.Errorf("the first one = %v, want ErrUnavailable", err)
	}
	if _, err := r.store(t.Context(), finished("1", "x")); err != nil {
		t.Errorf("after it gave up: %v", err)
	}
	natstest.Must(t, r.Drain(t.Context()))
}

// watched checks that each write ends at the end of a protocol message.
type watched struct {
	net.Conn
	torn func(written []byte)
}

func (w *watched) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\r\n"))
		size := 0
		if fields := bytes.Fields(line); len(fields) > 0 && (string(fields[0]) == "PUB" || string(fields[0]) == "HPUB") {
			if _, err := fmt.Sscan(string(fields[len(fields)-1]), &size); err != nil {
				whole = false
			}
			size += len("\r\n")
		}
		if !whole || size > len(after) || size > 0 && !bytes.HasSuffix(after[:size], []byte("\r\n")) {
			w.torn(p)
			break
		}
		rest = after[size:]
	}
	return w.Conn.Write(p)
}

type watchedDialer func(written []byte)

func (d watchedDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &watched{c, d}, err
}

// The tap writes between two writes of the client library, so these must not end within a message.
func TestTheLibraryWritesWholeMessages(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	var torn sync.Map
	dialer := watchedDialer(func(p []byte) { torn.Store(string(p[:min(len(p), 80)]), true) })
	nc, err := nats.Connect(s.NATS.ClientURL(), append(conn.BaseOptions(conn.Options{}), nats.SetCustomDialer(dialer), nats.PingInterval(time.Millisecond), nats.MaxPingsOutstanding(1<<20))...)
	natstest.Must(t, err)
	defer nc.Close()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 200 {
				msg := &nats.Msg{Subject: "x", Data: bytes.Repeat([]byte("\r\nPUB x 9"), (n*n*i)%4000)}
				if i%2 == 0 {
					msg.Header = nats.Header{"a": {strings.Repeat("b", n*10)}}
				}
				if err := nc.PublishMsg(msg); err != nil {
					t.Error(err)
				}
				if sub, err := nc.SubscribeSync(fmt.Sprintf("y.%d.%d", i, n)); err != nil || sub.Unsubscribe() != nil {
					t.Error("subscribing failed: ", err)
				}
			}
		})
	}
	wg.Wait()
	natstest.Must(t, nc.Flush())
	s.Stop()
	s.Start()
	natstest.Eventually(t, "the library has connected again", func() bool { return nc.Flush() == nil })
	torn.Range(func(p, _ any) bool {
		t.Errorf("a write of the library ends within a message: %q", p)
		return true
	})
}
