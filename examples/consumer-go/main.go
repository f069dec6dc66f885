// Command consumer-go prints one line for every finished job and acknowledges it. It
// shows how a program that is not ours reads our events: NATS's client and the
// standard library are all it takes, and age where bodies are encrypted. It never writes
// to the stream.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"filippo.io/age"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	url := flag.String("url", cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL), "address of the NATS server")
	creds := flag.String("creds", os.Getenv("NATS_CREDS"), "credentials file that receiver consumers add wrote")
	prefix := flag.String("inbox-prefix", cmp.Or(os.Getenv("NATS_INBOX_PREFIX"), nats.InboxPrefix[:len(nats.InboxPrefix)-1]), "prefix of the subjects on which we are answered")
	durable := flag.String("durable", "consumer-go", "name of the durable consumer, which keeps the position")
	count := flag.Int("count", 0, "stop after this many events; 0 means never")
	identity := flag.String("identity-file", "", "age identity file to decrypt bodies with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	keys, err := identities(*identity)
	if err == nil {
		var nc *nats.Conn
		if nc, err = connect(*url, *creds, *prefix, *durable); err == nil {
			err = run(ctx, nc, *durable, *count, keys)
			nc.Close()
		}
	}
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "consumer-go: %v\n", err)
		os.Exit(1)
	}
}

func connect(url, creds, prefix, name string) (*nats.Conn, error) {
	opts := []nats.Option{nats.Name(name), nats.CustomInboxPrefix(prefix)}
	if creds != "" {
		opts = append(opts, nats.UserCredentials(creds))
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", url, err)
	}
	return nc, nil
}

func run(ctx context.Context, nc *nats.Conn, durable string, count int, keys []age.Identity) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	// The durable consumer, which `receiver consumers add` made, survives us: the server keeps
	// our place, and gives again what we did not acknowledge.
	consumer, err := js.Consumer(ctx, "JOBS", durable)
	if err != nil {
		return fmt.Errorf("durable %s of the stream JOBS: %w", durable, err)
	}
	for n := 0; count == 0 || n < count; n++ {
		msg, err := next(ctx, consumer)
		if err != nil {
			return err
		}
		if err := fromJobs(msg, durable); err != nil {
			return err
		}
		data, err := bodyOf(ctx, js, msg)
		if err != nil && !errors.Is(err, errLost) {
			return err // not acknowledged: it is delivered again
		}
		if err := handle(msg, data, keys); err != nil {
			// It will not get better by being delivered again.
			return errors.Join(err, msg.TermWithReason(err.Error()))
		}
		// DoubleAck waits until the server has noted it, so that leaving now loses nothing.
		if err := msg.DoubleAck(ctx); err != nil {
			return fmt.Errorf("acknowledging %s: %w", msg.Subject(), err)
		}
	}
	return nil
}

// next waits for the next event, and asks for one at a time: what is fetched and not
// acknowledged comes again only after half a minute.
func next(ctx context.Context, c jetstream.Consumer) (jetstream.Msg, error) {
	for {
		msg, err := c.Next(jetstream.FetchContext(ctx))
		if !errors.Is(err, nats.ErrTimeout) {
			return msg, err
		}
	}
}

// view is the part of the header receiver-job that is of interest here.
type view struct {
	ID      string
	Object  string
	Status  string
	Records *int64 // absent when the platform did not say
	Failed  *int64
}

// fromJobs refuses a message that is none of our durable's on the stream JOBS, as somebody
// else's stream may deliver one of any subject. It is not acknowledged: that would go to them.
func fromJobs(msg jetstream.Msg, durable string) error {
	m, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("refused: a message on %q that no stream delivered: %w", msg.Subject(), err)
	}
	if m.Stream != "JOBS" || m.Consumer != durable {
		return fmt.Errorf("refused: a message on %q of the stream %q and the consumer %q, not JOBS and %q", msg.Subject(), m.Stream, m.Consumer, durable)
	}
	return nil
}

// handle is where the work goes. An event may come again after a crash between the
// work and the acknowledgement: ce-id tells.
//
// Hold the work back on `unknown`, and on every result that is not known here: it is neither
// success nor failure. The job's conflict event, jobs.<source>.<job>.conflict, says how it ended
// as soon as the platform does.
func handle(msg jetstream.Msg, data []byte, keys []age.Identity) error {
	h := msg.Headers()
	var v view
	if err := json.Unmarshal([]byte(h.Get("receiver-job")), &v); err != nil {
		return fmt.Errorf("receiver-job of %s: %w", msg.Subject(), err)
	}
	result := h.Get("ce-result")
	switch result {
	case "succeeded", "partial", "failed", "cancelled":
	default:
		result += " (held back)"
	}
	fmt.Printf("%s %s object=%s status=%s rows=%s failed=%s source=%s id=%s%s\n",
		v.ID, result, v.Object, v.Status, number(v.Records), number(v.Failed), h.Get("ce-source"), h.Get("ce-id"),
		shown(msg, data, keys))
	return nil
}

func number(n *int64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}
