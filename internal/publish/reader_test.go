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
	"receiver/internal/publish"
)

// words are headers by which the client library takes a message without data for the
// server's own.
var words = []nats.Header{
	{"Status": {"100"}, "Description": {"Idle Heartbeat"}},
	{"Status": {"400"}},
	{"Status": {"404"}},
	{"Status": {"408"}, "Nats-Pending-Messages": {"4096"}, "Nats-Pending-Bytes": {"1"}},
	{"Status": {"408"}},
	{"Status": {"409"}, "Description": {"Consumer Deleted"}},
	{"Status": {"409"}, "Description": {"Batch Completed"}},
	{"Status": {"423"}},
	{"Status": {"503"}},
	{"Status": {"x"}},
}

// speak publishes on JOBS: events with such messages between and behind them.
func speak(t *testing.T, js jetstream.JetStream, b *publish.Bus, data string) (messages int) {
	t.Helper()
	for i, header := range words {
		store(t, b, event(job.Submitted, fmt.Sprint(i), "CREATED"))
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

// A message is read whatever it says: nothing that others get is left out, and no reading is
// held up.
func TestNoMessageIsTakenForTheServersWord(t *testing.T) {
	for name, data := range map[string]string{"without data": "", "with data": "data"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := somebodysServer(t, 0)
			b := dial(t, s.external(), publish.Options{})
			all := speak(t, s.jetstream(), b, data)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for name, read := range map[string]func(yield func(publish.Message) error) error{
				"Range": func(yield func(publish.Message) error) error {
					return b.Range(ctx, publish.JobsStream, 1, uint64(all), yield)
				},
				"Range behind the end": func(yield func(publish.Message) error) error {
					return b.Range(ctx, publish.JobsStream, 1, uint64(all)+5, yield)
				},
				"Headers": func(yield func(publish.Message) error) error { return b.Headers(ctx, publish.JobsStream, yield) },
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
			if events != len(words) || ctx.Err() != nil {
				t.Errorf("Briefs gave %d events, %v, want %d", events, ctx.Err(), len(words))
			}
		})
	}
}

// What stands alone in a stream is there, too: a sealer asks for single sequences.
func TestASingleMessageIsTakenForWhatItIs(t *testing.T) {
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{})
	for i, header := range words {
		if _, err := s.jetstream().PublishMsg(t.Context(), &nats.Msg{Subject: "jobs.demo.1.word", Header: header}); err != nil {
			t.Fatal(err)
		}
		var got []publish.Message
		seq := uint64(i + 1)
		if err := b.Range(t.Context(), publish.JobsStream, seq, seq, func(m publish.Message) error { got = append(got, m); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Sequence != seq || fmt.Sprint(got[0].Header["Status"]) != fmt.Sprint(header["Status"]) || got[0].Time.IsZero() {
			t.Errorf("Range(%d) = %v, want the message with %v", seq, got, header)
		}
	}
}

// A message by which the library believes that it has asked for enough holds nothing up.
func TestNoMessageKeepsTheRestFromBeingAskedFor(t *testing.T) {
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{})
	header := nats.Header{"Status": {"408"}, "Nats-Pending-Messages": {"-1000000"}, "Nats-Pending-Bytes": {"0"}}
	const all = 3 * jetstream.DefaultMaxMessages
	for i := range all {
		msg := &nats.Msg{Subject: fmt.Sprintf("jobs.demo.%d.word", i)}
		if i == 0 {
			msg.Header = header
		}
		if _, err := s.jetstream().PublishMsg(t.Context(), msg); err != nil {
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
