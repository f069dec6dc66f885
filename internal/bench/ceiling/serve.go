package ceiling

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/verify"
)

// Options say where a handler listens and stores.
type Options struct {
	// Listen is its address, Key the signature key of its callers.
	Listen, Key string
	// URLs are the servers that it stores at; none means one in its process.
	URLs []string
	// Replicas is how many of them have each message.
	Replicas int
	// Folder is where the server in its process stores, SyncAlways that it calls fsync before it
	// acknowledges.
	Folder     string
	SyncAlways bool
	// Refuse makes it store nothing, and refuse every request after computing its HMAC.
	Refuse bool
}

// startTimeout bounds each step of the start.
const startTimeout = 20 * time.Second

// Serve serves the handler. It stores as a user's own handler does: the body alone, on one subject,
// by an asynchronous publish of the client library. It returns when it cannot serve.
func Serve(ctx context.Context, o Options) error {
	key, err := verify.NewKey("bench", []byte(o.Key), verify.Window{})
	if err != nil {
		return err
	}
	v, err := verify.New(key)
	if err != nil {
		return err
	}
	var store func(context.Context, []byte) error
	if !o.Refuse {
		if store, err = o.open(ctx); err != nil {
			return err
		}
	}
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: New(v, store), ReadHeaderTimeout: startTimeout}
	return s.Serve(ln)
}

// open connects to the servers and returns what stores there.
func (o Options) open(ctx context.Context) (func(context.Context, []byte) error, error) {
	url, option := strings.Join(o.URLs, ","), nats.Option(func(*nats.Options) error { return nil })
	if len(o.URLs) == 0 {
		s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: o.Folder, SyncAlways: o.SyncAlways, DontListen: true, NoSigs: true})
		if err != nil {
			return nil, err
		}
		s.Start()
		if !s.ReadyForConnections(startTimeout) {
			return nil, errors.New("the NATS server did not get ready")
		}
		option = nats.InProcessServer(s)
	}
	js, err := stream(ctx, url, o.Replicas, option)
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, body []byte) error {
		stored, err := js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: body})
		if err != nil {
			return err
		}
		select {
		case <-stored.Ok():
			return nil
		case err := <-stored.Err():
			return err
		}
	}, nil
}

// The stream, and the one subject in it.
const (
	name    = "EVT"
	subject = name + ".x"
)

// MakeStream makes the stream EVT with the subjects EVT.> at a server, for another program.
func MakeStream(ctx context.Context, url string) error {
	js, err := stream(ctx, url, 1)
	if err == nil {
		js.Conn().Close()
	}
	return err
}

// stream connects, and makes the stream.
func stream(ctx context.Context, url string, replicas int, options ...nats.Option) (jetstream.JetStream, error) {
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(8192))
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Replicas: replicas})
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("making the stream %s: %w", name, err)
	}
	return js, nil
}
