package publish_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// speak publishes events on JOBS, and between and behind them messages whose headers look like
// responses of the server.
func speak(t *testing.T, js jetstream.JetStream, b *publish.Store, data string) (messages int) {
	t.Helper()
	for i, header := range natstest.ServersWords {
		natstest.Store(t, b, natstest.Event(job.Submitted, fmt.Sprint(i), "CREATED"))
		for range 1 + i%2 {
			msg := &nats.Msg{Subject: fmt.Sprintf("jobs.demo.%d.word", i), Header: header, Data: []byte(data)}
			if _, err := js.PublishMsg(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
			messages++
		}
		messages++
	}
	return messages
}

// A message is read whatever its headers say. It neither hides other messages nor blocks the
// reader.
func TestNoMessageIsTakenForAServerResponse(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"without data": "", "with data": "data"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.NewServer(t, 0)
			b := natstest.Dial(t, s.External(), conn.Options{})
			all := speak(t, s.JetStream(), b, data)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for name, read := range map[string]func(yield func(publish.Message) error) error{
				"Range": func(yield func(publish.Message) error) error {
					return b.Range(ctx, conn.JobsStream, 1, uint64(all), yield)
				},
				"Range behind the end": func(yield func(publish.Message) error) error {
					return b.Range(ctx, conn.JobsStream, 1, uint64(all)+5, yield)
				},
				"Headers": func(yield func(publish.Message) error) error { return headers(ctx, b, conn.JobsStream, yield) },
				"Messages": func(yield func(publish.Message) error) error {
					for m, err := range b.Messages(ctx, publish.Watch{}) {
						if err != nil {
							return err
						}
						if err := yield(m); err != nil {
							return err
						}
					}
					return nil
				},
				"Messages of two subjects, followed": func(yield func(publish.Message) error) error {
					n := 0
					for m, err := range b.Messages(ctx, publish.Watch{Subjects: []string{"jobs.*.*.word", "jobs.*.*.submitted"}, Follow: true}) {
						if err != nil {
							return err
						}
						if err := yield(m); err != nil {
							return err
						}
						if n++; n == all {
							break
						}
					}
					return nil
				},
			} {
				var got, want []uint64
				err := read(func(m publish.Message) error {
					got, want = append(got, m.Sequence), append(want, uint64(len(want)+1))
					if raw := len(m.Header["Status"]) > 0; raw && string(m.Data) != data && name != "Headers" {
						t.Errorf("%s: message %d has the data %q, want %q", name, m.Sequence, m.Data, data)
					}
					if size := fmt.Sprint([]string{fmt.Sprint(len(data))}); name == "Headers" && len(m.Header["Status"]) > 0 && (len(m.Data) > 0 || fmt.Sprint(m.Header["Nats-Msg-Size"]) != size) {
						t.Errorf("%s: message %d has %d bytes of data, and says that they are %v, want none and %s", name, m.Sequence, len(m.Data), m.Header["Nats-Msg-Size"], size)
					}
					return nil
				})
				if err != nil || len(got) != all || !slices.Equal(got, want) {
					t.Errorf("%s = sequences %v, %v, want 1 to %d", name, got, err, all)
				}
			}
			var events int
			for batch, err := range b.Briefs(ctx, 1, false) {
				if err != nil {
					t.Fatal(err)
				}
				events += len(batch)
			}
			if events != len(natstest.ServersWords) || ctx.Err() != nil {
				t.Errorf("Briefs gave %d events, %v, want %d", events, ctx.Err(), len(natstest.ServersWords))
			}
		})
	}
}

// A message is read if it is requested alone, too: sealing requests single sequences.
func TestSingleMessageIsReadUnchanged(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	for i, header := range natstest.ServersWords {
		if _, err := s.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: "jobs.demo.1.word", Header: header}); err != nil {
			t.Fatal(err)
		}
		var got []publish.Message
		seq := uint64(i + 1)
		if err := b.Range(t.Context(), conn.JobsStream, seq, seq, func(m publish.Message) error { got = append(got, m); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Sequence != seq || fmt.Sprint(got[0].Header["Status"]) != fmt.Sprint(header["Status"]) || got[0].Time.IsZero() {
			t.Errorf("Range(%d) = %v, want the message with %v", seq, got, header)
		}
	}
}

// The headers of the first message make the client library believe that it has requested enough.
func TestNoMessageStopsFurtherRequests(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	header := nats.Header{"Status": {"408"}, "Nats-Pending-Messages": {"-1000000"}, "Nats-Pending-Bytes": {"0"}}
	const all = 3 * jetstream.DefaultMaxMessages
	for i := range all {
		msg := &nats.Msg{Subject: fmt.Sprintf("jobs.demo.%d.word", i)}
		if i == 0 {
			msg.Header = header
		}
		if _, err := s.JetStream().PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	for _, follow := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		n := uint64(0)
		for m, err := range b.Messages(ctx, publish.Watch{Follow: follow}) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; m.Sequence != n {
				t.Fatalf("follow %v: message %d came after %d", follow, m.Sequence, n-1)
			}
			if n == all {
				break
			}
		}
		if n != all {
			t.Errorf("follow %v: %d messages came, want %d", follow, n, all)
		}
		cancel()
	}
}
