package main

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// from is a message as a stream and a consumer delivered it.
type from struct {
	jetstream.Msg
	stream, consumer string
}

func (f from) Subject() string { return "jobs.crm.666.finished" }
func (f from) Metadata() (*jetstream.MsgMetadata, error) {
	if f.stream == "" {
		return nil, jetstream.ErrNotJSMessage
	}
	return &jetstream.MsgMetadata{Stream: f.stream, Consumer: f.consumer}, nil
}

func TestOnlyMessagesOfJobsAreTaken(t *testing.T) {
	for msg, want := range map[from]bool{
		{stream: "JOBS", consumer: "orders"}: true,
		{stream: "EVIL", consumer: "orders"}: false,
		{stream: "JOBS", consumer: "other"}:  false,
		{stream: "jobs", consumer: "orders"}: false,
		{}:                                   false,
	} {
		if err := fromJobs(msg, "orders"); (err == nil) != want {
			t.Errorf("stream %q, consumer %q: %v", msg.stream, msg.consumer, err)
		}
	}
}
