package schema_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestUnsuitableStreamIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		field  string
		stream string
		change func(*jetstream.StreamConfig)
	}{
		{"subjects", conn.JobsStream, func(c *jetstream.StreamConfig) { c.Subjects = []string{"jobs.demo.>"} }},
		{"subjects", conn.AttemptsStream, func(c *jetstream.StreamConfig) { c.Subjects = []string{"attempts.>", "more"} }},
		{"retention", conn.JobsStream, func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }},
		{"max_msgs_per_subject", conn.JobsStream, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }},
		{"max_bytes", conn.JobsStream, func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }},
		{"max_msgs", conn.JobsStream, func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }},
		{"no_ack", conn.JobsStream, func(c *jetstream.StreamConfig) { c.NoAck = true }},
		{"sealed", conn.JobsStream, func(c *jetstream.StreamConfig) { c.Sealed = true }},
		{"mirror", conn.JobsStream, func(c *jetstream.StreamConfig) {
			c.Subjects, c.Mirror = nil, &jetstream.StreamSource{Name: "OTHER"}
		}},
		{"sources", conn.JobsStream, func(c *jetstream.StreamConfig) {
			c.Sources = []*jetstream.StreamSource{{Name: "OTHER"}}
		}},
		{"subject_transform", conn.JobsStream, func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "jobs.>", Destination: "moved.>"}
		}},
	} {
		t.Run(tt.stream+" "+tt.field, func(t *testing.T) {
			t.Parallel()
			s := natstest.NewServer(t, 0)
			cfg := jetstream.StreamConfig{Name: tt.stream, Subjects: []string{strings.ToLower(tt.stream) + ".>"}}
			tt.change(&cfg)
			create(t, s.JetStream(), cfg)
			_, err := publish.Dial(t.Context(), s.External(), conn.Options{})
			if !errors.Is(err, conn.ErrStream) || !strings.Contains(err.Error(), tt.stream) || !strings.Contains(err.Error(), tt.field+" is ") {
				t.Errorf("Dial = %v, want ErrStream naming %s and %s", err, tt.stream, tt.field)
			}
		})
	}
}

func TestOtherLimitsAreReportedAndNotChanged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		field  string
		stream string
		change func(*jetstream.StreamConfig)
	}{
		{"max_age", conn.JobsStream, func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
		{"storage", conn.JobsStream, func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }},
		{"max_msg_size", conn.JobsStream, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 << 20 }},
		{"max_bytes", conn.AttemptsStream, func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }},
		{"max_msgs", conn.AttemptsStream, func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }},
	} {
		t.Run(tt.stream+" "+tt.field, func(t *testing.T) {
			t.Parallel()
			s := natstest.NewServer(t, 0)
			js := s.JetStream()
			cfg := jetstream.StreamConfig{Name: tt.stream, Subjects: []string{strings.ToLower(tt.stream) + ".>"}, AllowDirect: true}
			tt.change(&cfg)
			before := create(t, js, cfg)
			var log natstest.Logs
			b := natstest.Dial(t, s.External(), conn.Options{Log: log.Logger()})
			if text := log.String(); !strings.Contains(text, tt.field+" is ") || !strings.Contains(text, `"warn"`) || !strings.Contains(text, tt.stream) {
				t.Errorf("logged %s, want a warning that names %s and %s", text, tt.stream, tt.field)
			}
			after, err := js.Stream(t.Context(), tt.stream)
			if err != nil || !reflect.DeepEqual(after.CachedInfo().Config, before) {
				t.Errorf("the stream is %+v, %v afterwards, want it left at %+v", after.CachedInfo().Config, err, before)
			}
			natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
		})
	}
}

func TestStreamsAreCreatedAsConfigured(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	var log natstest.Logs
	o := conn.Options{Log: log.Logger(), Streams: conn.Streams{
		JobsMaxAge: 100 * time.Hour, AttemptsMaxBytes: 1 << 20, AttemptsMaxAge: 50 * time.Hour,
	}}
	for range 2 { // created once, then found as configured
		natstest.Dial(t, s.External(), o)
	}
	if text := log.String(); text != "" {
		t.Errorf("logged %s, want nothing", text)
	}
	jobs, err := s.JetStream().Stream(t.Context(), conn.JobsStream)
	if err != nil {
		t.Fatal(err)
	}
	if c := jobs.CachedInfo().Config; c.MaxAge != 100*time.Hour || c.MaxBytes != -1 || c.Storage != jetstream.FileStorage {
		t.Errorf("JOBS has max_age %v, max_bytes %d, storage %v", c.MaxAge, c.MaxBytes, c.Storage)
	}
	attempts, err := s.JetStream().Stream(t.Context(), conn.AttemptsStream)
	if err != nil {
		t.Fatal(err)
	}
	if c := attempts.CachedInfo().Config; c.MaxBytes != 1<<20 || c.MaxAge != 50*time.Hour || c.Discard != jetstream.DiscardOld {
		t.Errorf("ATTEMPTS has max_bytes %d, max_age %v, discard %v", c.MaxBytes, c.MaxAge, c.Discard)
	}
}

func TestReadOnlyCreatesNoStreams(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	if _, err := publish.Dial(t.Context(), s.External(), conn.Options{ReadOnly: true}); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("Dial = %v, want that there is no stream", err)
	}
	if n := s.JetStream().StreamNames(t.Context()); len(n.Name()) > 0 {
		t.Error("a stream was made")
	}
}

// create creates a stream, and another one that it may mirror.
func create(t *testing.T, js jetstream.JetStream, cfg jetstream.StreamConfig) jetstream.StreamConfig {
	t.Helper()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	sealed := cfg.Sealed
	cfg.Sealed = false
	stream, err := js.CreateStream(t.Context(), cfg)
	if err == nil && sealed { // a stream cannot be created as a sealed one
		cfg = stream.CachedInfo().Config
		cfg.Sealed = true
		stream, err = js.UpdateStream(t.Context(), cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config
}

// A cluster that has just started may refuse a request that it accepts a moment later.
func TestDialRetriesDuringClusterTrouble(t *testing.T) {
	t.Parallel()
	s := natstest.NewServerWithoutJetStream(t)
	nc, err := nats.Connect(s.NATS.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	asked := 0
	if _, err := nc.Subscribe("$JS.API.STREAM.*.>", func(m *nats.Msg) {
		asked++
		answer := `{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`
		switch {
		case asked == 1:
		case strings.HasPrefix(m.Subject, "$JS.API.STREAM.INFO."):
			answer = `{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`
		case asked == 3:
			answer = `{"error":{"code":500,"err_code":10049,"description":"error creating store for stream"}}`
		default:
			answer = fmt.Sprintf(`{"config":%s,"state":{}}`, m.Data)
		}
		_ = m.Respond([]byte(answer))
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	b, err := publish.Dial(t.Context(), s.External(), conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close(t.Context())
}

// A server may know a stream on another server before it knows which one takes its messages.
func TestActWaitsForItsStream(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	stream, err := s.JetStream().Stream(t.Context(), conn.ActionsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.JetStream().DeleteStream(t.Context(), conn.ActionsStream); err != nil {
		t.Fatal(err)
	}
	came := s.Messages()
	recorded := make(chan error, 1)
	go func() {
		_, err := b.Act(context.Background(), job.Action{What: job.ActionStart, Time: time.Now()})
		recorded <- err
	}()
	natstest.Eventually(t, "that the library has given up", func() bool { return s.Messages() >= came+4 }) // it tries three times
	if _, err := s.JetStream().CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	if err := <-recorded; err != nil {
		t.Errorf("Act = %v, want the action stored by the stream that came", err)
	}
	if e := natstest.ExtentOf(t, b, conn.ActionsStream); e.Messages != 1 {
		t.Errorf("%d actions are stored, want 1", e.Messages)
	}
}
